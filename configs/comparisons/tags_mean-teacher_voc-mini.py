# What tags add to MeanTeacher, and to the masks alone through a prediction filter.
_base_ = '_base_/tags_voc-mini.py'
_masks = _base_['_masks_alone']
_run = dict(
    config='mean_teacher/mean-teacher_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py',
    start='masks',
)
_cam_fusion = {
    'model.semi_train_cfg.cam_fusion.weight': 1.0,
    'model.semi_train_cfg.cam_fusion.bg_alpha': 2.0,
}

runs = {
    'masks alone': _masks,
    'masks alone, classifier of the tags': dict(
        cfg_options=_base_['_cam_head'], tests=_base_['_filtered'], **_masks
    ),
    **{
        f'MeanTeacher{name}': dict(**options, **_run)
        for name, options in _base_['_options'].items()
    },
    'MeanTeacher, tags and CAM': dict(
        cfg_options={**_base_['_tags'], **_cam_fusion},
        tests=_base_['_filtered'],
        **_run,
    ),
}

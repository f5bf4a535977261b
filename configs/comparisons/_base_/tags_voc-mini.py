# Effect of the tags of 154 unlabeled images in addition to 51 masks (semi_1_4 of
# voc-mini). All start from the network trained on the masks and take 900 steps of 4 + 4
# images. The tag file is created once, see
# configs/_base_/datasets/voc_mini_tags-and-masks.py.
# Labeled and mixed images share a batch, as in the config of MKD.
_one_batch = {'model.semi_train_cfg.concat_forward': True}
_cam_head = {
    'model.cam_head': dict(type='CAMHead', in_channels=320, num_classes=20),
    'train_dataloader.dataset.tags.path': 'work_dirs/voc-mini_tags.json',
}
_tags = {
    **_one_batch,
    **_cam_head,
    'model.semi_train_cfg.tag_filter.margin': None,
}
_class_aware = {**_tags, 'model.semi_train_cfg.class_aware_ce': True}
# The default for all methods; tools/misc/prediction_filter_threshold.py prints what
# others remove on training images.
_filtered = {
    'single scale': {},
    'prediction filter': dict(
        cfg_options={'model.semi_test_cfg.prediction_filter.thr': 0.05}
    ),
}
_masks_alone = dict(
    config='supervised/supervised_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py',
    start='masks',
)
# What follows the name of a method, and its settings.
_options = {
    '': dict(cfg_options=_one_batch),
    ', tags': dict(cfg_options=_tags, tests=_filtered),
    ', tags and class-aware CE': dict(cfg_options=_class_aware, tests=_filtered),
}

baseline = 'masks alone'
seeds = (0, 1, 2)
# Both make the steps faster on a CPU, see the page Benchmarks.
cfg_options = {
    'default_hooks.efficient_conv': dict(type='EfficientConvHook'),
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
starts = dict(
    masks=dict(
        config='supervised/supervised_mobilenet-v2_1xb8-1000_sup-1-4-voc-mini-225.py',
        tests={'single scale': {}},
    )
)
tests = {'single scale': {}}
allow_different = ('data',)

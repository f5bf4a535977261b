# Cost of wrong tags (51 masks, 154 images with tags): a hard filter of pseudo-labels
# against a margin. The tag files are created once, the first as in
# configs/_base_/datasets/voc_mini_tags-and-masks.py:
#   for part in 10 25; do python tools/misc/wrong_tags.py work_dirs/voc-mini_tags.json \
#       work_dirs/voc-mini_tags_wrong-$part.json --classes voc --ratio 0.$part; done
_run = dict(
    config='mean_teacher/mean-teacher_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py',
    start='masks',
)
_one_batch = {'model.semi_train_cfg.concat_forward': True}
# Two of the runs are 'MeanTeacher' and 'MeanTeacher, tags' of tags_voc-mini.py. The
# threshold is the default, as there.
_filtered = {
    'single scale': {},
    'prediction filter': dict(
        cfg_options={'model.semi_test_cfg.prediction_filter.thr': 0.05}
    ),
}


def _options(file, margin):
    return {
        **_one_batch,
        'model.cam_head': dict(type='CAMHead', in_channels=320, num_classes=20),
        'train_dataloader.dataset.tags.path': f'work_dirs/{file}.json',
        'model.semi_train_cfg.tag_filter.margin': margin,
    }


_files = {
    'true tags': 'voc-mini_tags',
    '10 % wrong': 'voc-mini_tags_wrong-10',
    '25 % wrong': 'voc-mini_tags_wrong-25',
}

baseline = 'no tags'
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
runs = {
    'no tags': dict(cfg_options=_one_batch, **_run),
    **{
        f'{name}, {kind}': dict(
            cfg_options=_options(file, margin), tests=_filtered, **_run
        )
        for name, file in _files.items()
        for kind, margin in (('hard', None), ('margin', 2.0))
    },
}

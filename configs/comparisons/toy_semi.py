# Semi-supervised methods on 10 labeled and 390 unlabeled images against the 10 masks
# alone. All start from the network trained on the 10 masks, including both students of
# CPS and MKD; thresholds and CutMix are equal.
_masks = 'supervised/supervised_r18_1xb8+8-700_semi-10-toy-voc-128.py'
_schedule = [dict(type='PolyLR', power=0.9, begin=0, end=600, by_epoch=False)]
_student = {'single scale': {}}
_cutmix = dict(num_boxes=3, prop_range=(0.25, 0.5))
_strong = [
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=48,
        contrast_range=(0.4, 1.6),
        saturation_range=(0.0, 2.0),
        hue_delta=90,
    ),
    dict(type='PackWeakInputs'),
]
_two_strong_views = dict(
    type='SemiMultiBranch',
    unsup_weak=[dict(type='PackWeakInputs')],
    unsup_strong_0=_strong,
    unsup_strong_1=_strong,
)
_teacher_hook = [
    dict(type='StartupCheckHook'),
    dict(type='IterationSeedHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='MeanTeacherHook', decay=0.98),
]
_plain = {'param_scheduler': _schedule}
_with_teacher = {**_plain, 'custom_hooks': _teacher_hook}
_two_views = {'train_dataloader.dataset.unlabeled.pipeline.4': _two_strong_views}
_one_view = ('train_dataloader.dataset.unlabeled.pipeline.4.unsup_strong',)
_run = dict(config=_masks, start='masks')
_settings = dict(pseudo_thr=0.8, cutmix=_cutmix)

baseline = 'masks alone'
seeds = (0, 1, 2, 3, 4)
# Both make the steps faster on a CPU, see the page Benchmarks.
cfg_options = {
    'default_hooks.efficient_conv': dict(type='EfficientConvHook'),
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
max_iters = 600
starts = dict(masks=dict(config=_masks, tests=_student))
tests = _student
runs = {
    'masks alone': dict(cfg_options=_plain, **_run),
    'MeanTeacher': dict(
        cfg_options={
            **_with_teacher,
            'model.type': 'MeanTeacherSegmentor',
            'model.semi_train_cfg': _settings,
        },
        **_run,
    ),
    'CPS': dict(
        cfg_options={
            **_plain,
            'model.type': 'CPS',
            'model.semi_train_cfg': dict(cutmix=_cutmix),
        },
        **_run,
    ),
    'FixMatch': dict(
        cfg_options={
            **_plain,
            'model.type': 'FixMatch',
            'model.semi_train_cfg': _settings,
        },
        **_run,
    ),
    'UniMatch': dict(
        cfg_options={
            **_plain,
            **_two_views,
            'model.type': 'UniMatch',
            'model.semi_train_cfg': _settings,
        },
        without=_one_view,
        **_run,
    ),
    'UniMatch V2': dict(
        cfg_options={
            **_with_teacher,
            **_two_views,
            'model.type': 'UniMatchV2',
            'model.semi_train_cfg': _settings,
        },
        without=_one_view,
        **_run,
    ),
    'MKD': dict(config='mkd/mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py', start='masks'),
}

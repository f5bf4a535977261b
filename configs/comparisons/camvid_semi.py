# Semi-supervised methods on 23 labeled and 344 unlabeled images of CamVid against the
# 23 masks alone. All start from the network trained on the masks, including both
# students of CPS and MKD; the threshold, CutMix and the decay of the teachers are
# equal.
_masks = 'supervised/supervised_mobilenet-v2_1xb4+4-300_semi-1-16-camvid-193.py'
_student = {'single scale': {}}
# In separate batches of four, the statistics of batch norm would drift.
_settings = dict(pseudo_thr=0.7, cutmix=dict(), concat_forward=True)
_without_threshold = dict(cutmix=dict(), concat_forward=True)
_mkd = dict(
    isda=None,
    pseudo_thr_teacher=0.7,
    pseudo_thr_student=0.7,
    # The logits already have stride 8, as the published 0.5 yields.
    loss_scale_factor=1.0,
    concat_forward=True,
)
_teacher_hook = [
    dict(type='StartupCheckHook'),
    dict(type='IterationSeedHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='MeanTeacherHook', decay=0.98),
]
_strong = [
    dict(
        type='RandomApply',
        prob=0.8,
        transforms=[
            dict(
                type='SemiColorJitter',
                brightness=0.5,
                contrast=0.5,
                saturation=0.5,
                hue=0.25,
            )
        ],
    ),
    dict(type='RandomApply', prob=0.2, transforms=[dict(type='SemiToGray')]),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[dict(type='SemiGaussianBlur', sigma=(0.1, 2.0))],
    ),
    dict(type='PackWeakInputs'),
]
_two_strong_views = dict(
    type='SemiMultiBranch',
    unsup_weak=[dict(type='PackWeakInputs')],
    unsup_strong_0=_strong,
    unsup_strong_1=_strong,
)


def _run(method, settings, teacher=None, two_views=False):
    """Return the run of a method: its settings, its teacher, its strong views."""
    options = {'model.type': method, 'model.semi_train_cfg': settings}
    run = dict(config=_masks, start='masks', cfg_options=options)
    if teacher is not None:
        options['custom_hooks'] = _teacher_hook
        predict_on = {'model.semi_test_cfg': dict(predict_on=teacher)}
        run['tests'] = {**_student, 'teacher': dict(cfg_options=predict_on)}
    if two_views:
        branches = 'train_dataloader.dataset.unlabeled.pipeline.4'
        options[branches] = _two_strong_views
        run['without'] = (f'{branches}.unsup_strong',)
    return run


baseline = 'masks alone'
seeds = (0, 1, 2)
# Both make the steps faster on a CPU, see the page Benchmarks.
cfg_options = {
    'default_hooks.efficient_conv': dict(type='EfficientConvHook'),
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
max_iters = 900
starts = dict(masks=dict(config=_masks, tests=_student))
tests = _student
runs = {
    'masks alone': dict(config=_masks, start='masks'),
    'MeanTeacher': _run('MeanTeacherSegmentor', _settings, teacher='teacher'),
    'CPS': _run('CPS', _without_threshold),
    'FixMatch': _run('FixMatch', _settings),
    'UniMatch': _run('UniMatch', _settings, two_views=True),
    'UniMatch V2': _run('UniMatchV2', _settings, teacher='teacher', two_views=True),
    'MKD': _run('MKD', _mkd, teacher='teacher1'),
}

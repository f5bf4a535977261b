# From scratch: the classifier alone for half of the iterations.
_base_ = [
    '../_base_/models/toy.py',
    '../_base_/datasets/toy_voc_weak.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='RCMMAM',
    mask_padding=True,
    main_scales=(0.5, 1.0, 1.5),
    support_scales=(0.5, 1.0, 1.5),
    test_cfg=dict(pseudo_sources=['cam', 'region'], predict_tags=True),
)
custom_hooks = [
    *_base_.runtime_hooks,
    dict(type='WeakWarmupHook', iters=200),
    dict(type='MeanTeacherHook', decay=0.99, schedule='constant'),
    dict(type='MultiScaleAttentionHook', begin=0),
]
val_evaluator = [
    dict(type='PseudoLabelMetric', sources=('cam', 'region')),
    dict(type='MultiLabelMetric'),
]
test_evaluator = val_evaluator

_base_ = [
    '../_base_/models/rcmmam_r50.py',
    '../_base_/datasets/voc12_aug_weak_384.py',
    '../_base_/schedules/rcmmam.py',
    '../_base_/default_runtime.py',
]
randomness = dict(seed=5123)
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='MeanTeacherHook', decay=0.996, schedule='constant'),
    dict(type='MultiScaleAttentionHook', begin=4 * _base_.epoch),
]

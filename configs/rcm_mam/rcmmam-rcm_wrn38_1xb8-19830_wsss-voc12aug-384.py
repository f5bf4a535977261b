# Phase 1: classifier and RCM, from the ImageNet weights.
_base_ = [
    '../_base_/models/rcmmam_wrn38.py',
    '../_base_/datasets/voc12_aug_weak_384.py',
    '../_base_/schedules/rcmmam.py',
    '../_base_/default_runtime.py',
]
randomness = dict(seed=5123)
model = dict(loss_mam=dict(type='MultiScaleAttentiveLoss', loss_weight=0.0))
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='MeanTeacherHook', decay=0.996, schedule='constant'),
]

_base_ = [
    '../_base_/models/asdt_wrn38.py',
    '../_base_/datasets/voc12_aug_weak.py',
    '../_base_/schedules/asdt_20k.py',
    '../_base_/default_runtime.py',
]
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='PWMDistillationHook', period=150, divisor=6, begin=1000),
]

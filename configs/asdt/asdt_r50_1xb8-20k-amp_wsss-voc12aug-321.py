_base_ = [
    '../_base_/models/asdt_r50.py',
    '../_base_/datasets/voc12_aug_weak.py',
    '../_base_/schedules/asdt_20k.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='PWMDistillationHook', period=150, divisor=6, begin=1000),
]

_base_ = [
    '../_base_/models/camseg_mit-b1.py',
    '../_base_/datasets/coco14_weak.py',
    '../_base_/schedules/afa_20k.py',
    '../_base_/default_runtime.py',
]
max_iters = 80000
model = dict(
    type='AFA',
    cam_head=dict(num_classes=80),
    decode_head=dict(num_classes=81),
    refiner=dict(type='LocalAffinityRefiner', kind='par', num_iters=15),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(
        type='ConstantLR',
        factor=1 - 1500 / max_iters,
        begin=1500,
        end=max_iters + 1,
        by_epoch=False,
    ),
    dict(type='PolyLR', power=1.0, begin=1500, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=8000)
default_hooks = dict(checkpoint=dict(interval=8000))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='WeakWarmupHook', iters=5001),
    dict(type='AffinityLabelHook', begin=15001),
]

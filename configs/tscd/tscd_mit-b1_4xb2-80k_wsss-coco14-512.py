# TSCD's settings for COCO 2014 were not published: AFA's schedule, with VARM.
_base_ = [
    '../_base_/models/camseg_mit-b1.py',
    '../_base_/datasets/coco14_weak.py',
    '../_base_/schedules/afa_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='TSCD',
    cam_head=dict(num_classes=80),
    decode_head=dict(num_classes=81),
    train_align_corners=True,
    refiner=dict(type='LocalAffinityRefiner', kind='varm'),
)
custom_hooks = [*_base_.runtime_hooks, dict(type='WeakWarmupHook', iters=5001)]

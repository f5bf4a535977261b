# The published recipe for COCO 2014, on four GPUs.
_base_ = [
    '../_base_/models/camseg_mit-b1.py',
    '../_base_/datasets/coco14_weak.py',
    '../_base_/schedules/afa_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='AFA',
    cam_head=dict(num_classes=80),
    decode_head=dict(num_classes=81),
    refiner=dict(type='LocalAffinityRefiner', kind='par', num_iters=15),
    # As in the released script for COCO, unlike the one for VOC.
    affinity_label='walk',
)
custom_hooks = [
    *_base_.runtime_hooks,
    dict(type='WeakWarmupHook', iters=5001),
    dict(type='AffinityLabelHook', begin=15001),
]

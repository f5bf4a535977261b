# ASDT on a folder of your own images with a table of tags: write the names of the
# classes and the two paths at the top of ../_base_/datasets/image_folder_weak.py.
_base_ = [
    '../_base_/models/rrm_mobilenet-v2.py',
    '../_base_/datasets/image_folder_weak.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
num_tags = len(_base_.classes)
num_classes = num_tags + 1
max_iters = 2000
model = dict(
    type='ASDT',
    # ImageNet weights, downloaded on the first run.
    backbone=dict(init_cfg=dict(checkpoint='mmcls://mobilenet_v2')),
    cam_head=dict(num_classes=num_tags),
    teacher_head={**_base_.model.decode_head, 'num_classes': num_classes},
    decode_head=dict(num_classes=num_classes),
    distill_weight=1.0,
    tag_filter=True,
    crf_b=dict(
        type='DenseCRF',
        bilateral_sxy=83.0,
        bilateral_srgb=5.0,
        bilateral_compat=4.0,
        scale_factor=0.5,
    ),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
val_cfg = None
test_cfg = None
default_hooks = dict(checkpoint=dict(interval=500))
# No classifier is at hand to start from: it comes first, alone, for 600 iterations.
custom_hooks = [
    *_base_.runtime_hooks,
    dict(type='WeakWarmupHook', iters=600),
    dict(type='PWMDistillationHook', period=20, divisor=2, begin=1000),
]

# The published recipe on data without a background class: a pixel is reliable if its
# CAM is above 0.3, classes are not balanced, and the backbone starts from ImageNet.
# There is no published figure to compare with.
_base_ = [
    '../_base_/models/asdt_wrn38.py',
    '../_base_/datasets/coco_stuff10k_weak.py',
    '../_base_/schedules/asdt_20k.py',
    '../_base_/default_runtime.py',
]
num_classes = 171
model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='data/weights/ilsvrc-cls_rna-a1_cls1000_ep-0001.params'
        )
    ),
    cam_head=dict(num_classes=num_classes),
    teacher_head=dict(num_classes=num_classes),
    decode_head=dict(num_classes=num_classes),
    reliable=dict(cam_floor=0.3),
    loss_seg=dict(type='ValidCrossEntropyLoss'),
)
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='PWMDistillationHook', period=150, divisor=6, begin=1000),
]

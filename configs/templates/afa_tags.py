# AFA on your own images with image tags. Edit this block, nothing else.
classes = ('cat', 'dog')  # of the objects; the background is added to them
data_root = 'data/images'  # folder of the images, sub-folders included
# One line per image, `holiday/0001,cat;dog`: its path below data_root without suffix,
# and its tags. JSON and text files can be read as well, see docs: Data.
tags = 'data/images/tags.csv'
max_iters = 2000
batch_size = 8
# Optional validation set: images and masks with the same names. The masks are PNG files
# with the number of the class in each pixel: 0 for the background, 1 for the
# first of `classes`, and so on, 255 for pixels without a label.
val_images = None  # e.g. 'data/val/images'
val_masks = None  # e.g. 'data/val/masks'
img_suffix = '.jpg'  # of the validation images

_base_ = [
    '../_base_/models/afa_mobilenet-v2.py',
    '../_base_/datasets/image_folder_weak.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
num_classes = len(classes) + 1
images = dict(
    dataset=dict(type='ImageFolder', data_root=data_root, classes=classes),
    tags=dict(path=tags),
)
train_dataloader = dict(batch_size=batch_size, dataset=images)
export_dataloader = dict(dataset=images)
if val_images is None:
    val_cfg = None
    test_dataloader = dict(dataset=dict(data_root=data_root, classes=classes))
    test_evaluator = []
else:
    val_dataloader = _base_.validation
    val_dataloader.dataset.update(
        data_prefix=dict(img_path=val_images, seg_map_path=val_masks),
        img_suffix=img_suffix,
        metainfo=dict(classes=('background', *classes)),
    )
    test_dataloader = val_dataloader
    val_evaluator = test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
model = dict(
    # ImageNet weights, downloaded on the first run.
    backbone=dict(init_cfg=dict(checkpoint='mmcls://mobilenet_v2')),
    cam_head=dict(num_classes=len(classes)),
    decode_head=dict(num_classes=num_classes),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
# The classifier is trained alone first: there is no checkpoint to start from.
custom_hooks = [
    *_base_.runtime_hooks,
    dict(type='WeakWarmupHook', iters=max_iters * 3 // 10),
    dict(type='AffinityLabelHook', begin=max_iters // 2),
]

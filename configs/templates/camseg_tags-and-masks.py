# A network supervised by masks and a classifier supervised by tags, on your own images
# with tags, some of them with masks. Edit this block, nothing else.
classes = ('cat', 'dog')  # of the objects; the background is added to them
data_root = 'data/images'  # folder of the images with tags alone, with sub-folders
# One line per image, `holiday/0001,cat;dog`: its path below data_root without suffix,
# and its tags. JSON and text files can be read as well, see docs: Data.
tags = 'data/images/tags.csv'
# Images with masks of the same names, in a folder of their own; they need no tags. The
# masks are PNG files with the number of the class in each pixel: 0 for the background,
# 1 for the first of `classes`, and so on, 255 for pixels without a label.
labeled_images = 'data/labeled/images'
labeled_masks = 'data/labeled/masks'
img_suffix = '.jpg'  # of the labeled and of the validation images
# If all images are in one folder: lists of those with masks and of those with tags only
# (the latter is relative to data_root), as tools/import_masks.py writes them.
labeled_list = ''  # e.g. 'data/imported/accepted.txt'
tagged_list = ''  # e.g. '../imported/tagged.txt'
# Tags of the images with masks: by default the classes in their masks. If masks lack
# objects, give a tag file; otherwise these objects count as absent for the classifier.
labeled_tags = None  # e.g. tags
max_iters = 2000
# Optional validation set: images and masks, in the same form.
val_images = None  # e.g. 'data/val/images'
val_masks = None  # e.g. 'data/val/masks'

_base_ = [
    '../_base_/models/camseg-masks_mobilenet-v2.py',
    '../_base_/datasets/image_folder_tags-and-masks.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
num_classes = len(classes) + 1
images = dict(
    labeled=dict(
        data_prefix=dict(img_path=labeled_images, seg_map_path=labeled_masks),
        img_suffix=img_suffix,
        ann_file=labeled_list,
        metainfo=dict(classes=('background', *classes)),
    ),
    tagged=dict(data_root=data_root, classes=classes, ann_file=tagged_list),
    tags=dict(path=tags),
    labeled_tags=dict(path=labeled_tags) if labeled_tags else None,
)
train_dataloader = dict(dataset=images)
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
custom_hooks = _base_.weak_hooks

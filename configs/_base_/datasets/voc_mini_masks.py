# The 205 training images of voc-mini with exported pseudo-masks as masks:
#   tools/export_pseudo_labels.py CONFIG CHECKPOINT --source fused --out PSEUDO_MASKS
voc = '{{$WSSS_SHARED:../shared}}/data/voc-mini/VOC2012'
pseudo_masks = 'work_dirs/asdt_mobilenet-v2_1xb8-600_wsss-voc-mini-225/masks'
crop_size = (225, 225)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    # Few masks, or masks with errors, need strong augmentation. The longer side of
    # the images is 500 pixels.
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.4, 1.1), keep_ratio=True
    ),
    dict(type='RandomRotate', prob=0.5, degree=20, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=48,
        contrast_range=(0.4, 1.6),
        saturation_range=(0.0, 2.0),
        hue_delta=36,
    ),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(321, 321), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='PascalVOCDataset',
        data_prefix=dict(img_path=f'{voc}/JPEGImages', seg_map_path=pseudo_masks),
        ann_file=f'{voc}/ImageSets/Segmentation/train.txt',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalVOCDataset',
        data_prefix=dict(
            img_path=f'{voc}/JPEGImages', seg_map_path=f'{voc}/SegmentationClass'
        ),
        ann_file=f'{voc}/ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

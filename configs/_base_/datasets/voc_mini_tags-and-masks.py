# voc-mini with 51 masks and the tags of the other 154 training images (semi_1_4). The
# tags are derived from the masks once; the masks of the 154 images are not used again:
#   voc=../shared/data/voc-mini/VOC2012  # or $WSSS_SHARED/data/...
#   python tools/dataset_converters/image_tags.py work_dirs/voc-mini_tags.json \
#       --masks $voc/SegmentationClass --classes voc \
#       --list $voc/ImageSets/Segmentation/train.txt
data_root = '{{$WSSS_SHARED:../shared}}/data/voc-mini/VOC2012'
tags = dict(path='work_dirs/voc-mini_tags.json')
split = 'ImageSets/Segmentation/semi_1_4'
crop_size = (225, 225)
batch_size = 8  # 4 images with masks + 4 with tags alone

load = dict(type='LoadImageStrict')
load_mask = dict(type='LoadAnnotationsStrict', num_classes=21)
resize = dict(type='Resize', scale=(321, 321), keep_ratio=True)
pack = dict(type='PackWeakInputs')
augment = [
    dict(type='RandomRescale', ratio_range=(0.4, 1.1)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PhotoMetricDistortion'),
    pack,
]
labeled = dict(
    type='PascalVOCDataset',
    data_root=data_root,
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
)
unlabeled = dict(
    type='PascalVOCDataset',
    data_root=data_root,
    data_prefix=dict(img_path='JPEGImages'),
)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type='MultiSourceSampler', batch_size=batch_size, source_ratio=[1, 1]),
    dataset=dict(
        type='SemiDataset',
        split=split,
        labeled=dict(pipeline=[load, load_mask, *augment], **labeled),
        unlabeled=dict(pipeline=[load, *augment], **unlabeled),
        tags=tags,
    ),
)
# Images for tools/export_pseudo_labels.py, which writes the masks of the labeled part.
export_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='SemiDataset',
        split=split,
        labeled=dict(pipeline=[load, resize, load_mask, pack], **labeled),
        unlabeled=dict(pipeline=[load, resize, pack], **unlabeled),
        tags=tags,
    ),
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='LoadAnnotations'),
    pack,
]
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='ImageSets/Segmentation/val.txt', pipeline=test_pipeline, **labeled
    ),
)
# The 154 images with their masks, to evaluate their pseudo-labels (`gt_split='test'`).
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(ann_file=f'{split}/unlabeled.txt', pipeline=test_pipeline, **labeled),
)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

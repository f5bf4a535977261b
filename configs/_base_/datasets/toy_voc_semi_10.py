# Generated images (python -m mmseg_wsss.datasets.toy.toy_voc data/toy_voc): 10 labeled
# and 390 unlabeled.
data_root = 'data/toy_voc'
crop_size = (128, 128)
batch_size = 16  # 8 + 8

# Ten labeled images are quickly memorized, hence the strong augmentation.
size_and_side = [
    dict(type='RandomRescale', ratio_range=(0.6, 1.6)),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
]
crop = dict(type='RandomCropPad', crop_size=crop_size)
weak_view = [dict(type='PackWeakInputs')]
sup_view = strong_view = [
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=48,
        contrast_range=(0.4, 1.6),
        saturation_range=(0.0, 2.0),
        hue_delta=90,
    ),
    *weak_view,
]
labeled_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadAnnotationsStrict', num_classes=7),
    *size_and_side,
    dict(type='RandomRotate', prob=0.8, degree=45, seg_pad_val=255),
    crop,
    dict(type='SemiMultiBranch', sup=sup_view),
]
unlabeled_pipeline = [
    dict(type='LoadImageStrict'),
    *size_and_side,
    crop,
    dict(
        type='SemiMultiBranch',
        unsup_weak=weak_view,
        unsup_strong=strong_view,
    ),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type='MultiSourceSampler', batch_size=batch_size, source_ratio=[1, 1]),
    dataset=dict(
        type='SemiDataset',
        labeled=dict(
            type='ToyVOCDataset',
            data_root=data_root,
            indices=10,
            pipeline=labeled_pipeline,
        ),
        unlabeled=dict(
            type='ToyVOCDataset',
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages'),
            indices=-390,
            pipeline=unlabeled_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ToyVOCDataset',
        data_root=data_root,
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

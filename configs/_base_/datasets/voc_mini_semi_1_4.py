# voc-mini for checks on a CPU: 51 labeled and 154 unlabeled images, 150 for validation.
# The splits semi_1_8 (25 labeled) and semi_1_2 (102) lie in the same folder.
_base_ = '../strong_views.py'

data_root = '{{$WSSS_SHARED:../shared}}/data/voc-mini/VOC2012'
crop_size = (225, 225)
batch_size = 8  # 4 + 4

geometry = [
    dict(type='RandomRescale', ratio_range=(0.4, 1.1)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
]
sup_view = [dict(type='PhotoMetricDistortion'), dict(type='PackWeakInputs')]
weak_view = [dict(type='PackWeakInputs')]
strong_view = [*_base_.mkd_strong, dict(type='PackWeakInputs')]
labeled_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadAnnotationsStrict', num_classes=21),
    *geometry,
    dict(type='SemiMultiBranch', sup=sup_view),
]
unlabeled_pipeline = [
    dict(type='LoadImageStrict'),
    *geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=weak_view,
        unsup_strong=strong_view,
    ),
]
# Unlabeled images: one strong view for FixMatch, two for UniMatch.
unimatch_view = [*_base_.unimatch_strong, dict(type='PackWeakInputs')]
fixmatch_pipeline = [
    dict(type='LoadImageStrict'),
    *geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=[dict(type='PackWeakInputs')],
        unsup_strong=unimatch_view,
    ),
]
unimatch_pipeline = [
    dict(type='LoadImageStrict'),
    *geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=[dict(type='PackWeakInputs')],
        unsup_strong_0=unimatch_view,
        unsup_strong_1=unimatch_view,
    ),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(321, 321), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type='MultiSourceSampler', batch_size=batch_size, source_ratio=[1, 1]),
    dataset=dict(
        type='SemiDataset',
        split='ImageSets/Segmentation/semi_1_4',
        labeled=dict(
            type='PascalVOCDataset',
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            pipeline=labeled_pipeline,
        ),
        unlabeled=dict(
            type='PascalVOCDataset',
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages'),
            pipeline=unlabeled_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalVOCDataset',
        data_root=data_root,
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

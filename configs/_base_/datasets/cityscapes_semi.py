# Cityscapes: the labeled part of the 2,975 training images with masks, the rest
# without. Crop and scales are our choice, since MKD's are not published. mmseg's
# converter creates the label maps, tools/dataset_converters/semi_splits.py the splits
# cityscapes-cps_1_{16,8,4,2}, cityscapes-u2pl_1_{16,8,4,2} and
# cityscapes-unimatch_1_30. Another split: --cfg-options \
#   train_dataloader.dataset.split=splits/cityscapes-cps_1_8
_base_ = '../strong_views.py'

data_root = 'data/cityscapes'
crop_size = (769, 769)
batch_size = 4  # 2 + 2

geometry = [
    dict(type='RandomRescale', ratio_range=(0.5, 2.0)),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
]
sup_view = [dict(type='SemiPhotoMetricDistortion'), dict(type='PackWeakInputs')]
weak_view = sup_view
strong_view = [*_base_.mkd_strong, dict(type='PackWeakInputs')]
labeled_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadAnnotationsStrict', num_classes=19),
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
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='MultiSourceSampler', batch_size=batch_size, source_ratio=[1, 1]),
    dataset=dict(
        type='SemiDataset',
        split='splits/cityscapes-cps_1_16',
        labeled=dict(
            type='CityscapesDataset',
            data_root=data_root,
            data_prefix=dict(img_path='leftImg8bit', seg_map_path='gtFine'),
            pipeline=labeled_pipeline,
        ),
        unlabeled=dict(
            type='CityscapesDataset',
            data_root=data_root,
            data_prefix=dict(img_path='leftImg8bit'),
            pipeline=unlabeled_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CityscapesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

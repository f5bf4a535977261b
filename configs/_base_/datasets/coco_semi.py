# COCO 2017, 80 object classes and the background: the labeled part of the 118,287
# training images with masks, the rest without. Crop and scales are our choice.
# tools/dataset_converters/coco_objects.py creates the masks,
# tools/dataset_converters/semi_splits.py the splits: coco-unimatch_1_{512,256,128,64,
# 32}.
_base_ = '../strong_views.py'

data_root = 'data/coco'
crop_size = (513, 513)
batch_size = 8  # 4 + 4

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
    dict(type='LoadAnnotationsStrict', num_classes=81),
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
        split='splits/coco-unimatch_1_32',
        labeled=dict(
            type='COCOObjectsDataset',
            data_root=data_root,
            data_prefix=dict(img_path='train2017', seg_map_path='masks/train2017'),
            pipeline=labeled_pipeline,
        ),
        unlabeled=dict(
            type='COCOObjectsDataset',
            data_root=data_root,
            data_prefix=dict(img_path='train2017'),
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
        type='COCOObjectsDataset',
        data_root=data_root,
        data_prefix=dict(img_path='val2017', seg_map_path='masks/val2017'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

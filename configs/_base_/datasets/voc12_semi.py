# PASCAL VOC 2012: the labeled part of train_aug with masks, the rest without, with the
# pipelines of MKD's released code. tools/dataset_converters/voc_sbd.py creates
# train_aug and its masks, tools/dataset_converters/semi_splits.py the splits
# voc-classic_{92,183,366,732,1464}, voc-blended-cps_1_{16,8,4,2} and
# voc-blended-u2pl_1_{16,8,4,2}. Results on different families are not comparable.
# Another split: --cfg-options \
#   train_dataloader.dataset.split=ImageSets/Segmentation/voc-blended-cps_1_8
_base_ = '../strong_views.py'

data_root = 'data/VOCdevkit/VOC2012'
crop_size = (512, 512)
batch_size = 8  # 4 + 4

geometry = [
    # Resizes the longer side to 256..1024 pixels.
    dict(
        type='RandomResize', scale=(512, 512), ratio_range=(0.5, 2.0), keep_ratio=True
    ),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
]
sup_view = [dict(type='SemiPhotoMetricDistortion'), dict(type='PackWeakInputs')]
weak_view = sup_view
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
    dict(type='Resize', scale=(512, 512), keep_ratio=True),
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
        split='ImageSets/Segmentation/voc-blended-cps_1_16',
        labeled=dict(
            type='PascalVOCDataset',
            data_root=data_root,
            data_prefix=dict(
                img_path='JPEGImages', seg_map_path='SegmentationClassAug'
            ),
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
    num_workers=4,
    persistent_workers=True,
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

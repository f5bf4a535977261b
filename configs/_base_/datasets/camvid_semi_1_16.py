# CamVid at 320 x 240, see docs/data.md: 23 labeled and 344 unlabeled street images, 101
# for validation. The split 1/8 (46 labeled) lies in the same folder.
_base_ = '../strong_views.py'

data_root = '{{$WSSS_SHARED:../shared}}/data/camvid-240'
crop_size = (193, 193)
batch_size = 8  # 4 + 4
metainfo = dict(
    classes=(
        'sky',
        'building',
        'pole',
        'road',
        'pavement',
        'tree',
        'sign',
        'fence',
        'car',
        'pedestrian',
        'bicyclist',
    ),
    palette=[
        [128, 128, 128],
        [128, 0, 0],
        [192, 192, 128],
        [128, 64, 128],
        [60, 40, 222],
        [128, 128, 0],
        [192, 128, 128],
        [64, 64, 128],
        [64, 0, 128],
        [64, 64, 0],
        [0, 128, 192],
    ],
)

geometry = [
    dict(type='RandomRescale', ratio_range=(0.75, 1.5)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
]
strong_view = [*_base_.unimatch_strong, dict(type='PackWeakInputs')]
labeled_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadAnnotationsStrict', num_classes=11),
    *geometry,
    dict(
        type='SemiMultiBranch',
        sup=[dict(type='PhotoMetricDistortion'), dict(type='PackWeakInputs')],
    ),
]
unlabeled_pipeline = [
    dict(type='LoadImageStrict'),
    *geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=[dict(type='PackWeakInputs')],
        unsup_strong=strong_view,
    ),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
images = dict(
    type='BaseSegDataset',
    metainfo=metainfo,
    data_root=data_root,
    img_suffix='.jpg',
    seg_map_suffix='.png',
)
images_and_masks = dict(data_prefix=dict(img_path='img', seg_map_path='ann'), **images)
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type='MultiSourceSampler', batch_size=batch_size, source_ratio=[1, 1]),
    dataset=dict(
        type='SemiDataset',
        labeled=dict(
            ann_file='splits/1_16_labeled.txt',
            pipeline=labeled_pipeline,
            **images_and_masks,
        ),
        unlabeled=dict(
            ann_file='splits/1_16_unlabeled.txt',
            data_prefix=dict(img_path='img'),
            pipeline=unlabeled_pipeline,
            **images,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(ann_file='splits/val.txt', pipeline=test_pipeline, **images_and_masks),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

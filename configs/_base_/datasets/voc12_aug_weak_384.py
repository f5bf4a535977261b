# PASCAL VOC 2012, train_aug (10,582 images) with image tags only, with the augmentation
# of RCM + MAM. Validation scores the CAMs of the 1,464 images of train at their best
# threshold, which needs the masks of these images.
data_root = 'data/VOCdevkit/VOC2012'
crop_size = (384, 384)

train_pipeline = [
    dict(type='LoadImageStrict'),
    # Resizes the longer side to 256..512 pixels.
    dict(
        type='RandomResize',
        scale=(512, 512),
        ratio_range=(0.5, 1.0),
        keep_ratio=True,
        interpolation='bicubic',
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomApply',
        prob=0.8,
        transforms=[
            dict(
                type='SemiColorJitter',
                brightness=0.4,
                contrast=0.4,
                saturation=0.4,
                hue=0.1,
            )
        ],
    ),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWeakInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='WeakDataset',
        dataset=dict(
            type='PascalVOCDataset',
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages'),
            ann_file='ImageSets/Segmentation/train_aug.txt',
        ),
        tags=dict(path=f'{data_root}/tags_train_aug.json'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='WeakDataset',
        dataset=dict(
            type='PascalVOCDataset',
            data_root=data_root,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/train.txt',
        ),
        tags=dict(source='masks'),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(
        type='PseudoLabelMetric',
        sources=('cam',),
        thresholds=[step / 100 for step in range(10, 30)],
    ),
    dict(type='MultiLabelMetric'),
]
test_evaluator = val_evaluator

# For tools/export_pseudo_labels.py: the training images at full size.
export_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='WeakDataset',
        dataset=train_dataloader['dataset']['dataset'],
        tags=train_dataloader['dataset']['tags'],
        pipeline=[dict(type='LoadImageStrict'), dict(type='PackWeakInputs')],
        test_mode=True,
    ),
)

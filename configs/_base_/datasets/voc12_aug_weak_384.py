# VOC 2012 with the augmentation of RCM + MAM (specification: section 9). Seeds are
# judged on the 1,464 images of train, by the threshold that suits them best.
_base_ = './voc12_aug_weak.py'
crop_size = (384, 384)
train_pipeline = [
    dict(type='LoadImageStrict'),
    # The longer side becomes 256 to 512 pixels.
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
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _delete_=True,
        type='WeakDataset',
        dataset=dict(
            type='PascalVOCDataset',
            data_root=_base_.data_root,
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/train.txt',
        ),
        tags=dict(source='masks'),
        pipeline=_base_.test_pipeline,
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

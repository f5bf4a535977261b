# PASCAL VOC 2012, train_aug (10,582 images), with image tags only.
# tools/dataset_converters/voc_sbd.py creates train_aug.txt, and
# tools/dataset_converters/image_tags.py the tag files.
data_root = 'data/VOCdevkit/VOC2012'
crop_size = (321, 321)

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomRescale', ratio_range=(0.7, 1.3)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWeakInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    batch_size=4,
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

# Generated images (python -m mmseg_wsss.datasets.toy.toy_voc data/toy_voc).
data_root = 'data/toy_voc'
crop_size = (128, 128)

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomRescale', ratio_range=(0.75, 1.25)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWeakInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_split = dict(type='ToyVOCDataset', data_root=data_root)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='WeakDataset',
        dataset=train_split,
        tags=dict(path=f'{data_root}/tags_train.json'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='WeakDataset',
        dataset=dict(
            type='ToyVOCDataset',
            data_root=data_root,
            ann_file='ImageSets/Segmentation/val.txt',
        ),
        tags=dict(path=f'{data_root}/tags_val.json'),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

# For tools/export_pseudo_labels.py; the masks only serve to evaluate the result.
export_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='WeakDataset',
        dataset=train_split,
        tags=train_dataloader['dataset']['tags'],
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

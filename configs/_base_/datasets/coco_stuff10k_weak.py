# COCO-Stuff 10K: 9,000 training images with image tags only, 1,000 test images. Its 171
# classes cover the whole image: there is no background class.
# tools/dataset_converters/coco_stuff10k.py creates the masks and the tag files.
data_root = 'data/coco_stuff10k'
crop_size = (321, 321)

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomRescale', ratio_range=(0.7, 1.3)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWeakInputs'),
]
# Masks contain 0 for unlabeled pixels, and 1 to 171.
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
            type='COCOStuffDataset',
            data_root=data_root,
            data_prefix=dict(img_path='images/train2014'),
            reduce_zero_label=True,
        ),
        # A few images have no labeled pixels, and thus no tags.
        tags=dict(path=f'{data_root}/tags_train.json', allow_empty=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='COCOStuffDataset',
        data_root=data_root,
        data_prefix=dict(
            img_path='images/test2014', seg_map_path='annotations/test2014'
        ),
        reduce_zero_label=True,
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

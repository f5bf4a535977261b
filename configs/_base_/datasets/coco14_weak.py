# COCO 2014: 82,081 training images with image tags only, 40,137 validation images, 80
# object classes and the background. tools/dataset_converters/coco_objects.py creates
# the masks and lists, tools/dataset_converters/image_tags.py the tag files.
data_root = 'data/coco'
crop_size = (512, 512)

train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomRescale', ratio_range=(0.5, 2.0), backend='pillow'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size, pad_val=(0, 0, 0)),
    dict(type='PackWeakInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='WeakDataset',
        dataset=dict(
            type='COCOObjectsDataset',
            data_root=data_root,
            data_prefix=dict(img_path='train2014'),
            ann_file='train2014_objects.txt',
        ),
        # The file also has the 702 images without objects, which are not in the list.
        tags=dict(path=f'{data_root}/tags_train2014.json', allow_empty=True),
        pipeline=train_pipeline,
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
        data_prefix=dict(img_path='val2014', seg_map_path='masks/val2014'),
        ann_file='val2014_objects.txt',
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

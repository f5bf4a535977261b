# Your own images and a table of their tags; there is no mask on disk. These three
# lines are all that a data set needs, and the number of classes follows from them.
# The background is no tag and is added by itself.
classes = ('cat', 'dog')
data_root = 'data/images'  # its sub-folders are searched too
# One line an image, `holiday/0001,cat;dog`: the path below data_root without suffix.
# JSON and text files are read as well, see docs/data.md.
tags = 'data/images/tags.csv'

crop_size = (225, 225)
train_pipeline = [
    dict(type='LoadImageStrict'),
    # Brings the longer side to 225..450 pixels.
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.45, 0.9), keep_ratio=True
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackWeakInputs'),
]
folder = dict(type='ImageFolder', data_root=data_root, classes=classes)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(
        type='WeakDataset',
        dataset=folder,
        tags=dict(path=tags),
        pipeline=train_pipeline,
    ),
)
# Without masks there is nothing to validate against. Look at the result instead:
# tools/export_pseudo_labels.py CONFIG CHECKPOINT --source prediction --out FOLDER
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None
export_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='WeakDataset',
        dataset=folder,
        tags=dict(path=tags),
        pipeline=[
            dict(type='LoadImageStrict'),
            dict(type='Resize', scale=(321, 321), keep_ratio=True),
            dict(type='PackWeakInputs'),
        ],
        test_mode=True,
    ),
)

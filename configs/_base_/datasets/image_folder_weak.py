# Your own images with image tags, without masks: pipelines and loaders of the templates
# in configs/templates, which set classes and paths.
crop_size = (225, 225)
train_pipeline = [
    dict(type='LoadImageStrict'),
    # Resizes the longer side to 225..450 pixels.
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.45, 0.9), keep_ratio=True
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackWeakInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(321, 321), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='EndlessSampler'),
    dataset=dict(type='WeakDataset', pipeline=train_pipeline),
)
# Images for tools/export_pseudo_labels.py.
export_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='WeakDataset',
        pipeline=[
            dict(type='LoadImageStrict'),
            dict(type='Resize', scale=(321, 321), keep_ratio=True),
            dict(type='PackWeakInputs'),
        ],
        test_mode=True,
    ),
)
# Loader of the optional validation set.
validation = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='BaseSegDataset', pipeline=test_pipeline),
)
# Without a validation set: loader of the images only, for tools that predict.
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageFolder',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(321, 321), keep_ratio=True),
            dict(type='PackWeakInputs'),
        ],
    ),
)

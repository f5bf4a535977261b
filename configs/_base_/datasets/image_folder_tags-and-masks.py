# Your own images with tags, some of them also with masks: pipelines and loaders of the
# templates in configs/templates, which set classes and paths.
crop_size = (225, 225)
batch_size = 8  # 2 images with masks + 6 with tags alone

load = dict(type='LoadImageStrict')
load_mask = dict(type='LoadAnnotationsStrict')
resize = dict(type='Resize', scale=(321, 321), keep_ratio=True)
pack = dict(type='PackWeakInputs')
augment = [
    # Resizes the longer side to 225..450 pixels.
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.45, 0.9), keep_ratio=True
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PhotoMetricDistortion'),
    pack,
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='LoadAnnotations'),
    pack,
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='MultiSourceSampler', batch_size=batch_size, source_ratio=[1, 3]),
    dataset=dict(
        type='SemiDataset',
        labeled=dict(type='BaseSegDataset', pipeline=[load, load_mask, *augment]),
        tagged=dict(type='ImageFolder', pipeline=[load, *augment]),
    ),
)
# Images for tools/export_pseudo_labels.py, which writes the masks of the labeled part.
export_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='SemiDataset',
        labeled=dict(type='BaseSegDataset', pipeline=[load, resize, load_mask, pack]),
        tagged=dict(type='ImageFolder', pipeline=[load, resize, pack]),
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
        type='ImageFolder', pipeline=[dict(type='LoadImageFromFile'), resize, pack]
    ),
)

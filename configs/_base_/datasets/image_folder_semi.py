# Your own images, few of them with masks: pipelines and loaders of the templates in
# configs/templates, which set classes and paths.
_base_ = '../strong_views.py'

crop_size = (321, 321)
batch_size = 8  # 4 labeled + 4 unlabeled images
geometry = [
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.5, 1.5), keep_ratio=True
    ),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
]
sup_view = [dict(type='SemiPhotoMetricDistortion'), dict(type='PackWeakInputs')]
mkd_strong_view = [*_base_.mkd_strong, dict(type='PackWeakInputs')]
unimatch_strong_view = [*_base_.unimatch_strong, dict(type='PackWeakInputs')]
mkd_pipeline = [
    dict(type='LoadImageStrict'),
    *geometry,
    dict(type='SemiMultiBranch', unsup_weak=sup_view, unsup_strong=mkd_strong_view),
]
unimatch_pipeline = [
    dict(type='LoadImageStrict'),
    *geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=[dict(type='PackWeakInputs')],
        unsup_strong_0=unimatch_strong_view,
        unsup_strong_1=unimatch_strong_view,
    ),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(500, 500), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='MultiSourceSampler', batch_size=batch_size, source_ratio=[1, 1]),
    dataset=dict(
        type='SemiDataset',
        labeled=dict(type='BaseSegDataset'),
        unlabeled=dict(type='ImageFolder'),
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
            dict(type='Resize', scale=(500, 500), keep_ratio=True),
            dict(type='PackWeakInputs'),
        ],
    ),
)

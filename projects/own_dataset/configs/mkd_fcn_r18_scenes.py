# MKD: the images of labeled.txt with masks, those of unlabeled.txt without.
_base_ = './fcn_r18_scenes.py'
# A child's list replaces its base's: own_dataset is repeated.
custom_imports = dict(imports=['mmseg_wsss', 'own_dataset'])
model = dict(_delete_=True, type='MKD', segmentor=_base_.model)
custom_hooks = [
    dict(type='StartupCheckHook'),
    dict(type='MeanTeacherHook', decay=0.99),
]
geometry = [
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='RandomFlip', prob=0.5),
]
pack = [dict(type='PackSegInputs')]
part = dict(type='SceneDataset', data_root=_base_.data_root, data_prefix=_base_.folders)
train_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=2,
    sampler=dict(type='MultiSourceSampler', batch_size=8),
    dataset=dict(
        type='SemiDataset',
        labeled=dict(
            **part,
            ann_file='labeled.txt',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                *geometry,
                dict(type='SemiMultiBranch', sup=pack),
            ],
        ),
        unlabeled=dict(
            **part,
            ann_file='unlabeled.txt',
            pipeline=[
                dict(type='LoadImageFromFile'),
                *geometry,
                dict(
                    type='SemiMultiBranch',
                    unsup_weak=pack,
                    unsup_strong=[dict(type='SemiColorJitter'), *pack],
                ),
            ],
        ),
    ),
)

# ASDT from tags alone. They are derived from the masks once, which are then hidden;
# with tags of your own: tags=dict(path='data/scenes/tags.csv').
_base_ = './fcn_r18_scenes.py'
custom_imports = dict(imports=['mmseg_wsss', 'own_dataset'])
model = dict(
    type='ASDT',
    cam_head=dict(type='CAMHead', in_channels=512, num_classes=3),
    teacher_head=_base_.model.decode_head,
)
custom_hooks = [
    dict(type='StartupCheckHook'),
    dict(type='WeakWarmupHook', iters=2000),
    dict(type='PWMDistillationHook', begin=4000),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='WeakDataset',
        dataset=dict(
            type='SceneDataset',
            data_root=_base_.data_root,
            data_prefix=_base_.folders,
            ann_file='train.txt',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='PackSegInputs'),
            ],
        ),
        tags=dict(source='masks'),
        pipeline=[
            dict(type='LoadImageStrict'),
            dict(type='RandomCropPad', crop_size=_base_.crop_size),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackWeakInputs'),
        ],
    )
)

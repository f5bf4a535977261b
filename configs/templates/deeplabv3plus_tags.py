# DeepLabV3+ on pseudo-masks of the images of cam_tags.py, for tools/wsss_pipeline.py:
# edit the block there. The pipeline sets the folder of the pseudo-masks.
_base_ = './cam_tags.py'
max_iters = 2000

head = dict(_base_.head)
head.update(num_classes=len(_base_.classes) + 1)
model = dict(
    _delete_=True,
    type='EncoderDecoder',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    decode_head=head,
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.45, 0.9), keep_ratio=True
    ),
    dict(type='RandomCrop', crop_size=_base_.crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='ImageFolder',
        data_root=_base_.data_root,
        classes=_base_.classes,
        data_prefix=dict(img_path='', seg_map_path='masks'),
        pipeline=train_pipeline,
    ),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [dict(type='NonFiniteLossHook')]

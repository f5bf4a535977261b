# Stage 2 with the settings of the DeepLab-v2 run (specification: section 10): crop 321,
# batches of 5 of which two make an update, 20,000 updates, and its CRF for
# tools/test.py --crf. mmseg has no DeepLab-v2; the head is DeepLabV3+, at ten times the
# rate, and the backbone's batch norm stays frozen.
_base_ = [
    '../../_base_/models/pspnet_r101-d8.py',
    '../../_base_/datasets/voc12_aug_masks.py',
    '../../_base_/schedules/retrain_20k.py',
    '../../_base_/plain_runtime.py',
]
crop_size = (321, 321)
max_iters = 40000
norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(size=crop_size)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(norm_cfg=dict(type='BN', requires_grad=False), norm_eval=True),
    decode_head=dict(
        _delete_=True,
        type='DepthwiseSeparableASPPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        c1_in_channels=256,
        c1_channels=48,
        dropout_ratio=0.1,
        num_classes=_base_.num_classes,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=_base_.loss_decode,
    ),
    auxiliary_head=dict(norm_cfg=norm_cfg),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    # The images' own longer side is 500.
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.5, 1.5), keep_ratio=True
    ),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(
    accumulative_counts=2,
    optimizer=dict(lr=2.5e-4),
    paramwise_cfg=dict(
        custom_keys={
            'decode_head': dict(lr_mult=10.0),
            'auxiliary_head': dict(lr_mult=10.0),
        }
    ),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=4000)
default_hooks = dict(checkpoint=dict(interval=4000))
tta_model = dict(
    type='WSSSTTAModel',
    crf=dict(
        type='DenseCRF',
        gauss_sxy=1.0,
        gauss_compat=3.0,
        bilateral_sxy=67.0,
        bilateral_srgb=3.0,
        bilateral_compat=4.0,
    ),
)

# Stage 2 on a CPU: DeepLabV3+ on the backbone of the runs of stage 1.
_base_ = [
    '../../_base_/models/cam_mobilenet-v2.py',
    '../../_base_/datasets/voc_mini_masks.py',
    '../../_base_/schedules/mini_400.py',
    '../../_base_/plain_runtime.py',
]
max_iters = 400
model = dict(
    _delete_=True,
    type='EncoderDecoder',
    data_preprocessor={
        **_base_.data_preprocessor,
        'size': _base_.crop_size,
        'size_divisor': None,
    },
    backbone={**_base_.model.backbone, 'out_indices': (1, 6)},
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_channels=320,
        in_index=-1,
        channels=256,
        dilations=(1, 4, 8, 12),
        c1_in_channels=24,
        c1_channels=48,
        dropout_ratio=0.1,
        num_classes=_base_.num_classes,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(_delete_=True, type='SegTTAModel')
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=max_iters))

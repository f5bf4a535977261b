# Three stages of a narrow Mix Transformer from scratch, stride 8, for the toy set.
num_classes = 7
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1,
)
_cam = dict(type='PairedCAM', scales=(1.0, 0.5, 1.5), merge='sum')
model = dict(
    type='CAMSeg',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='AttentionMiT',
        embed_dims=32,
        num_stages=3,
        num_layers=(1, 1, 2),
        num_heads=(1, 2, 4),
        patch_sizes=(7, 3, 3),
        strides=(4, 2, 1),
        sr_ratios=(4, 2, 1),
        out_indices=(0, 1, 2),
        qkv_bias=True,
    ),
    cam_head=dict(
        type='CAMHead',
        in_channels=128,
        in_index=2,
        num_classes=num_classes - 1,
        dropout_ratio=0.0,
    ),
    decode_head=dict(
        type='SegFormerMLPHead',
        in_channels=(32, 64, 128),
        in_index=(0, 1, 2),
        channels=64,
        num_classes=num_classes,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
    ),
    loss_seg=dict(type='BalancedCrossEntropyLoss', loss_weight=1.0),
    train_cfg=dict(cam=_cam),
    test_cfg=dict(mode='whole', cam=_cam),
)

# Three stages of a narrow ResNet-18 from scratch, output stride 8, with an FCN head.
norm_cfg = dict(type='BN', requires_grad=True)
num_classes = 7
# Only read by mmseg's get_flops.py.
model = dict(decode_head=dict(type='FCNHead'))
segmentor = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,
    ),
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        stem_channels=32,
        base_channels=32,
        num_stages=3,
        out_indices=(1, 2),
        strides=(1, 2, 1),
        dilations=(1, 1, 2),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        contract_dilation=True,
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=128,
        in_index=-1,
        channels=128,
        num_convs=1,
        dilation=4,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=num_classes,
        norm_cfg=norm_cfg,
        align_corners=False,
        # Objects and background weigh the same, however small the objects are.
        loss_decode=dict(type='BalancedCrossEntropyLoss'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

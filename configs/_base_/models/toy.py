# Three stages of a narrow ResNet-18 from scratch, output stride 8, for the toy set.
norm_cfg = dict(type='BN', requires_grad=True)
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
# Decode head of the methods that train one.
head = dict(
    type='LargeFOVHead',
    in_channels=128,
    channels=128,
    dilation=4,
    num_classes=num_classes,
    align_corners=False,
)
model = dict(
    type='CAM',
    decode_head=dict(type='CAMHead'),  # only read by mmseg's get_flops.py
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        stem_channels=32,
        base_channels=32,
        num_stages=3,
        out_indices=(2,),
        strides=(1, 2, 1),
        dilations=(1, 1, 2),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        contract_dilation=True,
    ),
    cam_head=dict(
        type='CAMHead', in_channels=128, num_classes=num_classes - 1, dropout_ratio=0.0
    ),
    test_cfg=dict(
        mode='whole', cam=dict(scales=(0.5, 1.0, 1.5), flip=True, merge='sum')
    ),
)

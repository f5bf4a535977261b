# Classifier on the light network of deeplabv3plus_mobilenet-v2.py.
num_classes = 21
# Decode head of the methods that train one.
head = dict(
    type='DepthwiseSeparableASPPHead',
    in_channels=320,
    in_index=-1,
    channels=128,
    dilations=(1, 3, 6, 9),
    c1_in_channels=32,
    c1_channels=48,
    dropout_ratio=0.1,
    num_classes=num_classes,
    norm_cfg=dict(type='BN', requires_grad=True),
    align_corners=False,
    # PyTorch's default. With mmseg's Normal(0.01) in the last layer, AdamW starts
    # badly: on the same batches, the loss after 150 steps is 1.45 instead of 1.05.
    init_cfg=None,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True),
)
model = dict(
    type='CAM',
    decode_head=dict(type='CAMHead'),  # only read by mmseg's get_flops.py
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
        type='MobileNetV2',
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 2, 2),
        out_indices=(2, 6),
        frozen_stages=2,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='{{$WSSS_SHARED:../shared}}/weights/'
            'mobilenet_v2_imagenet_mmseg.pth',
        ),
    ),
    cam_head=dict(type='CAMHead', in_channels=320, num_classes=num_classes - 1),
    test_cfg=dict(
        mode='whole',
        cam=dict(scales=(0.5, 1.0, 1.5, 2.0), flip=True, merge='sum'),
    ),
)
tta_model = dict(
    type='WSSSTTAModel',
    crf=dict(
        type='DenseCRF',
        bilateral_sxy=83.0,
        bilateral_srgb=5.0,
        bilateral_compat=4.0,
        scale_factor=0.5,
    ),
)

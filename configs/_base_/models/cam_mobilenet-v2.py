# Classifier on MobileNetV2 at output stride 16, for CPUs: batch norm frozen, and
# nothing of the stem and the first two stages trained.
num_classes = 21
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1,
)
head = dict(
    type='LargeFOVHead',
    in_channels=320,
    channels=256,
    dilation=4,
    num_classes=num_classes,
    align_corners=False,
)
model = dict(
    type='WSSSBase',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='MobileNetV2',
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 2, 2),
        out_indices=(6,),
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
    decode_head=head,
    test_cfg=dict(
        mode='whole', cam=dict(scales=(0.5, 1.0, 1.5), flip=True, merge='sum')
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

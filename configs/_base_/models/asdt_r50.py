# ASDT on ResNet-50 at output stride 8, for which most mmseg users have weights.
norm_cfg = dict(type='BN', requires_grad=False)
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
    in_channels=2048,
    channels=512,
    num_classes=num_classes,
    align_corners=False,
)
model = dict(
    type='ASDT',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNetV1c',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        norm_cfg=norm_cfg,
        norm_eval=True,
        style='pytorch',
        contract_dilation=True,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c'),
    ),
    cam_head=dict(type='CAMHead', in_channels=2048, num_classes=num_classes - 1),
    teacher_head=head,
    decode_head=head,
    dense_energy=dict(weight=5.8e-8),
    train_cfg=dict(cam=dict(scales=(1.0, 0.5, 1.5, 2.0), dropout=True)),
    test_cfg=dict(
        mode='whole',
        fuse='max',
        cam=dict(scales=(0.5, 1.0, 1.5, 2.0), flip=True, merge='sum'),
    ),
)
# For tools/test.py --crf.
tta_model = dict(
    type='WSSSTTAModel',
    crf=dict(
        type='DenseCRF',
        bilateral_sxy=83.0,
        bilateral_srgb=5.0,
        bilateral_compat=4.0,
    ),
)

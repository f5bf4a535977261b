# RRM on WideResNet-38: one segmentation head, supervised by refined CAMs.
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
    in_channels=4096,
    channels=512,
    num_classes=num_classes,
    align_corners=False,
)
model = dict(
    type='RRM',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='WideResNet38',
        dropout=(0.3, 0.5),
        init_cfg=dict(type='Pretrained', checkpoint='data/weights/res38_cls.pth'),
    ),
    cam_head=dict(type='CAMHead', in_channels=4096, num_classes=20),
    decode_head=head,
    crf=dict(
        type='DenseCRF',
        bilateral_sxy=80.0,
        bilateral_srgb=13.0,
        bilateral_compat=10.0,
    ),
    # 0.58 of the published 1e-7: the released code approximates the Gaussian sums on a
    # permutohedral lattice, whereas they are exact here.
    dense_energy=dict(weight=5.8e-8),
    train_cfg=dict(cam=dict(scales=(1.0, 0.5, 1.5, 2.0), dropout=True)),
    test_cfg=dict(
        mode='whole',
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

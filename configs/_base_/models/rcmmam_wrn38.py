# RCM + MAM on WideResNet-38 (specification: sections 4 to 7).
num_classes = 21
embed_channels = 256
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1,
)
# One 1 x 1 convolution, which idles.
head = dict(
    type='FCNHead',
    in_channels=4096,
    channels=4096,
    num_convs=0,
    concat_input=False,
    num_classes=num_classes,
    align_corners=False,
)
model = dict(
    type='RCMMAM',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='WideResNet38',
        dropout=(0.2, 0.2),
        frozen_stages=('conv1a', 'b2'),
        init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet_38d.params'),
    ),
    cam_head=dict(
        type='CAMHead',
        in_channels=4096,
        num_classes=num_classes - 1,
        embed_channels=embed_channels,
        dropout_ratio=0.0,
    ),
    decode_head=head,
    test_cfg=dict(
        mode='whole',
        cam=dict(scales=(0.5, 1.0, 1.5, 2.0), flip=True, merge='sum'),
        pseudo_sources=['cam'],
        predict_tags=True,
    ),
)

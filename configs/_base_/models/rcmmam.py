# RCM + MAM without a backbone. Source: Yoon et al., https://arxiv.org/abs/2112.05351
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
model = dict(
    type='RCMMAM',
    decode_head=dict(type='CAMHead'),  # only read by mmseg's get_flops.py
    data_preprocessor=data_preprocessor,
    cam_head=dict(
        type='CAMHead',
        num_classes=num_classes - 1,
        embed_channels=embed_channels,
        dropout_ratio=0.0,
    ),
    test_cfg=dict(
        mode='whole',
        cam=dict(scales=(0.5, 1.0, 1.5, 2.0), flip=True, merge='sum'),
        pseudo_sources=['cam'],
        predict_tags=True,
    ),
)

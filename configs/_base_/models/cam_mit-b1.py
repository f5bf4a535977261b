# MiT-B1 with stage 4 at stride 16 and the classifier, as in AFA and TSCD. Other sizes
# change embed_dims, num_layers and the checkpoint; the affinity head takes its channels
# from the backbone.
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
_cam = dict(type='PairedCAM', scales=(1.0, 0.5, 1.5), merge='sum')
model = dict(
    type='CAM',
    decode_head=dict(type='CAMHead'),  # only read by mmseg's get_flops.py
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='AttentionMiT',
        embed_dims=64,
        num_stages=4,
        num_layers=(2, 2, 2, 2),
        num_heads=(1, 2, 5, 8),
        patch_sizes=(7, 3, 3, 3),
        strides=(4, 2, 2, 1),
        sr_ratios=(8, 4, 2, 1),
        out_indices=(0, 1, 2, 3),
        mlp_ratio=4,
        qkv_bias=True,
        drop_path_rate=0.1,
        # SegFormer's original files, such as mit_b1.pth, can be loaded as well.
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/'
            'segformer/mit_b1_20220624-02e5a6a1.pth',
        ),
    ),
    cam_head=dict(
        type='CAMHead',
        in_channels=512,
        in_index=3,
        num_classes=num_classes - 1,
        pooling='gmp',
        dropout_ratio=0.0,
        # PyTorch's default, with a standard deviation of 0.026; CAMHead's would have
        # 0.06.
        init_cfg=None,
    ),
    test_cfg=dict(mode='whole', cam=_cam),
)
# For `tools/test.py --tta --crf`, an approximation of AFA's protocol: scales of images
# with a longer side of 512, the mean over flipped copies, the maximum over scales, then
# the CRF. AFA resizes the normalized image and takes the maximum at stride 4.
tta_model = dict(
    type='WSSSTTAModel',
    merge='max',
    crf=dict(
        type='DenseCRF',
        bilateral_sxy=64.0,
        bilateral_srgb=5.0,
        bilateral_compat=4.0,
    ),
)
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(side, side), keep_ratio=True)
                for side in (512, 256, 384)
            ],
            [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            [dict(type='LoadAnnotations')],
            [dict(type='PackWeakInputs')],
        ],
    ),
]

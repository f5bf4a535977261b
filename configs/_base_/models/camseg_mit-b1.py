# SegFormer's MLP head on the classifier of cam_mit-b1.py.
_base_ = './cam_mit-b1.py'
model = dict(
    type='CAMSeg',
    decode_head=dict(
        type='SegFormerMLPHead',
        in_channels=(64, 128, 320, 512),
        channels=256,
        dropout_ratio=0.1,
        num_classes=_base_.num_classes,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        init_cfg=None,  # conv_seg: PyTorch's own weights and bias
    ),
    train_cfg=dict(cam=_base_.model.test_cfg.cam),
)

# A segmentation head supervised by thresholded CAMs, on the MobileNetV2 of the CAM
# runs: base of the AFA and TSCD runs, and their control.
_base_ = './cam_mobilenet-v2.py'
_cam = dict(type='PairedCAM', scales=(1.0, 0.5, 1.5), merge='sum')
model = dict(
    type='CAMSeg',
    decode_head=_base_.head,
    # The published 0.1 would hardly affect the backbone in 600 steps.
    loss_seg=dict(type='BalancedCrossEntropyLoss', loss_weight=1.0),
    train_cfg=dict(cam=_cam),
    test_cfg=dict(cam=_cam),
)

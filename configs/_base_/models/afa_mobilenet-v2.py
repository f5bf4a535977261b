# AFA on the MobileNetV2 of the CAM runs: the affinity comes from queries and keys that
# are learnt on its last map.
_base_ = './cam_mobilenet-v2.py'
_cam = dict(scales=(1.0, 0.5, 1.5), flip=True, merge='sum', paired=True)
model = dict(
    type='AFA',
    affinity_head=dict(in_channels=320, num_heads=8, embed_channels=256),
    # AdamW does not feel the weight of a loss in a head of its own; in the trunk, 400
    # steps leave no time for the published 0.1.
    loss_seg=dict(type='BalancedCrossEntropyLoss', loss_weight=1.0),
    train_cfg=dict(cam=_cam),
    test_cfg=dict(cam=_cam),
)

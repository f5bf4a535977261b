# AffinityNet or IRNet on MobileNetV2; the affinity head reads strides 8, 16 and 16.
_base_ = './cam_mobilenet-v2.py'
model = dict(
    backbone=dict(out_indices=(2, 4, 6)),
    loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=0.0),
    # Half the size in the CRF: a quarter of the time.
    crf=dict(scale_factor=0.5),
    # The 256 steps of PSA go too far for affinities of 200 iterations, see docs:
    # Results.
    walk=dict(beta=12.0, steps=32),
)

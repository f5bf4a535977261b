# AffinityNet or IRNet on MobileNetV2; the affinity head uses strides 8, 16 and 16.
_base_ = './cam_mobilenet-v2.py'
model = dict(
    backbone=dict(out_indices=(2, 4, 6)),
    loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=0.0),
    # The CRF runs at half size, in a quarter of the time.
    crf=dict(scale_factor=0.5),
    # PSA's 256 steps go too far with affinities from 200 iterations, see docs: Results.
    walk=dict(beta=12.0, steps=32),
)

_base_ = './cam_mobilenet-v2.py'
model = dict(
    type='RRM',
    # Half the size in the CRFs: a quarter of the time.
    crf=dict(type='DenseCRF', scale_factor=0.5),
    # The CAMs of this classifier are wide: under the published powers (4, 32) and
    # threshold 0.8, four of five labelled pixels were foreground, here one of two.
    alphas=(2.0, 8.0),
    reliable=dict(bg_thr=0.5),
    # The published weight belongs to (160 x 160)^2 pairs of pixels; here (56 x 56)^2.
    dense_energy=dict(weight=4.1e-6, scale_factor=0.25),
    train_cfg=dict(cam=dict(scales=(1.0, 0.5, 1.5), dropout=True)),
)

_base_ = './cam_mobilenet-v2.py'
model = dict(
    type='RRM',
    # Half the size in the CRFs: a quarter of the time.
    crf=dict(type='DenseCRF', scale_factor=0.5),
    # A quarter of the size has 1/16 of the pairs that half the size has.
    dense_energy=dict(weight=16 * 6.15e-8, scale_factor=0.25),
    train_cfg=dict(cam=dict(scales=(1.0, 0.5, 1.5), dropout=True)),
)

# As in the released script: crops of 320, the dense energy on, and CAMs computed in
# training mode.
_base_ = '../tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py'
crop_size = (320, 320)
model = dict(
    dense_energy=dict(weight=5.8e-10),
    train_cfg=dict(cam=dict(train_mode=True)),
)
train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='RandomRescale', ratio_range=(0.5, 2.0), backend='pillow'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size, pad_val=(0, 0, 0)),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

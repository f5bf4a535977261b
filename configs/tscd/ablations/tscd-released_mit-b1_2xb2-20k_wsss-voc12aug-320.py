# What the released script runs: a broken line leaves the crop at 320, the dense energy
# is on, and the network makes CAMs in training mode.
_base_ = '../tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py'
crop_size = (320, 320)
model = dict(
    dense_energy=dict(weight=6.15e-10),
    train_cfg=dict(cam=dict(train_mode=True)),
)
train_pipeline = [
    {**step, 'crop_size': crop_size} if step['type'] == 'RandomCropPad' else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

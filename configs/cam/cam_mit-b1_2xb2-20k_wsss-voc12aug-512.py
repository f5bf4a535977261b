# The classifier alone; its CAMs are normalized as those of the others.
_base_ = '../tscd/tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py'
model = dict(type='WSSSBase', test_cfg=dict(cam_normalization='minmax'))
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'WeakWarmupHook']

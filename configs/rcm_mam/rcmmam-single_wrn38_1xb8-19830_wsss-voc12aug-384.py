# Both modules in one run, MAM from the fifth epoch on.
_base_ = './rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
model = dict(loss_mam=dict(loss_weight=1.0))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='MultiScaleAttentionHook', begin=4 * _base_.epoch),
]

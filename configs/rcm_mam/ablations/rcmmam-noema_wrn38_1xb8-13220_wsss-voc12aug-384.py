# SupportNet is MainNet, detached.
_base_ = '../rcmmam_wrn38_1xb8-13220_wsss-voc12aug-384.py'
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='MeanTeacherHook', decay=0.0, schedule='constant'),
    dict(type='MultiScaleAttentionHook', begin=0, restart_support=True),
]

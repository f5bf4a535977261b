# A slower SupportNet.
_base_ = '../rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='MeanTeacherHook', decay=0.998, schedule='constant'),
]

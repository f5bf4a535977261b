# SupportNet is MainNet, detached.
_base_ = '../rcmmam_wrn38_1xb8-13220_wsss-voc12aug-384.py'
custom_hooks = [
    {**h, 'decay': 0.0} if h.type == 'MeanTeacherHook' else h
    for h in _base_.custom_hooks
]

# A slower SupportNet.
_base_ = '../rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
custom_hooks = [
    {**h, 'decay': 0.998} if h.type == 'MeanTeacherHook' else h
    for h in _base_.custom_hooks
]

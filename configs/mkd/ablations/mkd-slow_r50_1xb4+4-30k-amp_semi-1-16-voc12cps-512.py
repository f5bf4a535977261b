# Slow teachers; everything else is that of the MKD run.
_base_ = '../mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
custom_hooks = [
    h if h.type != 'MeanTeacherHook' else {**h, 'decay': 0.996}
    for h in _base_.custom_hooks
]

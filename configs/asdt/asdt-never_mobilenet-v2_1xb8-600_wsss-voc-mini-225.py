# Ablation (b): two heads, teacher A only; everything else is that of the ASDT run.
_base_ = './asdt_mobilenet-v2_1xb8-600_wsss-voc-mini-225.py'
custom_hooks = [
    {**h, 'mode': 'never'} if h.type == 'PWMDistillationHook' else h
    for h in _base_.custom_hooks
]

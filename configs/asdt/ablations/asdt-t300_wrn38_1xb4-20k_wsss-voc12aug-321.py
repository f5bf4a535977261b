# Ablation (d): a period of 300 iterations.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
custom_hooks = [
    dict(type='IterationSeedHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='PWMDistillationHook', period=300),
]

# Ablation (b): two heads, teacher A only; what the released script runs.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
custom_hooks = [
    dict(type='IterationSeedHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='PWMDistillationHook', mode='never'),
]

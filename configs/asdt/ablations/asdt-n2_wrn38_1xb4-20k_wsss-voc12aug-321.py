# Ablation (d): pulses of 1/2 of the period.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
custom_hooks = [*_base_.weak_hooks, dict(type='PWMDistillationHook', divisor=2)]

# Ablation (d): a period of 60 iterations.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
custom_hooks = [*_base_.weak_hooks, dict(type='PWMDistillationHook', period=60)]

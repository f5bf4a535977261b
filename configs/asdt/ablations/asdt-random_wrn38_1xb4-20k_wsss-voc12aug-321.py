# Ablation (e): teacher B in a random sixth of the iterations.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
custom_hooks = [*_base_.weak_hooks, dict(type='PWMDistillationHook', mode='random')]

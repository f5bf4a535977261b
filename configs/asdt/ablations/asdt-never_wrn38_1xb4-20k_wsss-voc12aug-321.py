# Ablation (b): two heads, teacher A only; the released script runs this.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
custom_hooks = [*_base_.weak_hooks, dict(type='PWMDistillationHook', mode='never')]

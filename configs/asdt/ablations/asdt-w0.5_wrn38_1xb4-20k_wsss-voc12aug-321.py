# Ablation (f): weight of the distillation.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
model = dict(distill_weight=0.5)

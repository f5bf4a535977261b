# Ablation (g): fusion of both heads at inference.
_base_ = '../asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
model = dict(test_cfg=dict(fuse='student'))

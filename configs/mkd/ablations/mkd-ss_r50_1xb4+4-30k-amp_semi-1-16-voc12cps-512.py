# Ablation. The student loss L_ss only, as in CPS.
_base_ = '../mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
model = dict(semi_train_cfg=dict(teacher_weight=0.0))

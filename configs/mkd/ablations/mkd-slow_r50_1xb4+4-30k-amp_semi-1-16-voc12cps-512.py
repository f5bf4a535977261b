# Ablation. Slow teachers.
_base_ = '../mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
custom_hooks = [*_base_.runtime_hooks, dict(type='MeanTeacherHook', decay=0.996)]

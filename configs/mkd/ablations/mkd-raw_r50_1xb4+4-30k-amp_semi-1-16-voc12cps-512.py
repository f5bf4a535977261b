# Ablation. Pseudo-labels of the logits without ISDA's offset.
_base_ = '../mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
model = dict(semi_train_cfg=dict(labels_from='raw'))

# Ablation. No feature augmentation.
_base_ = './mkd_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py'
model = dict(semi_train_cfg=dict(isda=None))

# Equivariant regularization with a gradient.
_base_ = '../tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py'
model = dict(er_mode='grad')

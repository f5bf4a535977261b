# VARM without SCD.
_base_ = '../tscd_mit-b1_2xb2-20k_wsss-voc12aug-512.py'
model = dict(loss_scd=None)

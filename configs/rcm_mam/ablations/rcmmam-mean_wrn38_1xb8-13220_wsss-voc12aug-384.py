# The target of MAM is the plain mean.
_base_ = '../rcmmam_wrn38_1xb8-13220_wsss-voc12aug-384.py'
model = dict(loss_mam=dict(type='MultiScaleAttentiveLoss', dissimilarity=False))

# The target of MAM is the plain mean; no RCM.
_base_ = '../rcmmam_wrn38_1xb8-13220_wsss-voc12aug-384.py'
model = dict(
    loss_rcm=dict(type='RegionalContrastiveLoss', loss_weight=0.0),
    loss_mam=dict(type='MultiScaleAttentiveLoss', dissimilarity=False),
)
load_from = 'work_dirs/rcmmam-none_wrn38_1xb8-19830_wsss-voc12aug-384/iter_19830.pth'

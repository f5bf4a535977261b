# The classifier alone for the budget of the RCM + MAM run: the control.
_base_ = './rcmmam_mobilenet-v2_1xb8-300_wsss-voc-mini-225.py'
model = dict(
    loss_rcm=dict(type='RegionalContrastiveLoss', loss_weight=0.0),
    loss_mam=dict(type='MultiScaleAttentiveLoss', loss_weight=0.0),
)

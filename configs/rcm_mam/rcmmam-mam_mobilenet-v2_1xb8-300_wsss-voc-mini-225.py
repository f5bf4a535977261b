# The classifier and MAM; everything else is as in the RCM + MAM run.
_base_ = './rcmmam_mobilenet-v2_1xb8-300_wsss-voc-mini-225.py'
model = dict(loss_rcm=dict(type='RegionalContrastiveLoss', loss_weight=0.0))

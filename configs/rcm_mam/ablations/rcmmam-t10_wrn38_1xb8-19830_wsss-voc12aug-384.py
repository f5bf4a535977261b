# Another temperature.
_base_ = '../rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
model = dict(loss_rcm=dict(type='RegionalContrastiveLoss', scale=10.0))

# Phase 1 in mixed precision.
_base_ = './rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')

# Phase 2 in mixed precision, from phase 1 in mixed precision.
_base_ = './rcmmam_wrn38_1xb8-13220_wsss-voc12aug-384.py'
load_from = 'work_dirs/rcmmam-rcm_wrn38_1xb8-19830-amp_wsss-voc12aug-384/iter_19830.pth'
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')

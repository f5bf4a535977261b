_base_ = './asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')

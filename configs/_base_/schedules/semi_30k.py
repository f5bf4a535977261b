# The schedule of MKD's released code: mixed precision with a static loss scale.
_base_ = './semi_sgd.py'
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale=512.0)

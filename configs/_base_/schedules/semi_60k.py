# Cityscapes: 8 labeled images per step on all GPUs together, hence twice the learning
# rate of semi_sgd.py. No recipe of MKD for Cityscapes was published.
_base_ = './semi_sgd.py'
max_iters = 60000
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale=512.0, optimizer=dict(lr=5e-3))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)

# One GPU: a quarter of the images per step and of the learning rate, four times the
# iterations.
_base_ = './mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
max_iters = 240000
optim_wrapper = dict(optimizer=dict(lr=1.25e-3))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)

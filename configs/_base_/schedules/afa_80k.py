# The schedule of AFA on COCO 2014: four times the iterations.
_base_ = './afa_20k.py'
max_iters = 80000
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(
        type='ConstantLR',
        factor=1 - 1500 / max_iters,
        begin=1500,
        end=max_iters + 1,
        by_epoch=False,
    ),
    dict(type='PolyLR', power=1.0, begin=1500, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=8000)
default_hooks = dict(checkpoint=dict(interval=8000))

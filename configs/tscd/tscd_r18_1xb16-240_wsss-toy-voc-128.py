# TSCD from the same classifier, with the same budget as the AFA run.
_base_ = [
    '../_base_/models/afa_toy.py',
    '../_base_/datasets/toy_voc_weak.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
max_iters = 240
# The batch statistics stay the classifier's: those of the small second view differ.
model = dict(type='TSCD', n_points=400, backbone=dict(norm_eval=True))
load_from = 'work_dirs/cam_r18_1xb16-400_wsss-toy-voc-128/iter_400.pth'
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=80))
custom_hooks = _base_.weak_hooks

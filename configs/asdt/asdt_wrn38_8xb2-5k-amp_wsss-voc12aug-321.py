# Eight GPUs: four times the total batch of the published recipe, a quarter of its
# iterations, and (SGD) four times its learning rate. The wave keeps its ratio of them.
_base_ = './asdt_wrn38_1xb4-20k_wsss-voc12aug-321.py'
max_iters = 5000
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(
    type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(lr=4 * 7e-4)
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='PWMDistillationHook', period=150, divisor=6, begin=250),
]

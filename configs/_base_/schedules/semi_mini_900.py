# Budget of the semi-supervised runs on voc-mini: 900 steps on a CPU.
_base_ = './mini_600.py'
max_iters = 900
optim_wrapper = dict(optimizer=dict(lr=5e-5))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=300)
val_cfg = dict(type='TeacherStudentValLoop')
default_hooks = dict(checkpoint=dict(interval=max_iters))

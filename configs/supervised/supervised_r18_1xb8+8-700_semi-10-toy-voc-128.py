# The 10 labeled toy images alone; the start of the MKD config.
_base_ = [
    '../_base_/models/toy_fcn.py',
    '../_base_/datasets/toy_voc_semi_10.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
max_iters = 700
model = dict(type='SupervisedSegmentor', segmentor=_base_.segmentor)
val_cfg = dict(type='TeacherStudentValLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, begin=50, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)

# 23 labeled images of CamVid alone: the start of the semi-supervised runs.
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenet-v2.py',
    '../_base_/datasets/camvid_semi_1_16.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
max_iters = 300
_base_.segmentor.decode_head.num_classes = 11
model = dict(type='SupervisedSegmentor', segmentor=_base_.segmentor)
param_scheduler = [
    dict(type='PolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='TeacherStudentValLoop')
default_hooks = dict(checkpoint=dict(interval=max_iters))

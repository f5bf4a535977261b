# MKD on VOC 2012, 1/16 of the blended CPS split, on one GPU, with the defaults of this
# package: teachers in eval mode, padding masked.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/voc12_semi.py',
    '../_base_/schedules/semi_30k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='MKD', segmentor=_base_.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student1/mIoU'))
custom_hooks = [*_base_.runtime_hooks, dict(type='MeanTeacherHook', decay=0.6)]

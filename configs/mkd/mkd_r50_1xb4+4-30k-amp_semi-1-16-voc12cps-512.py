# MKD on VOC 2012, 1/16 of the blended CPS lists, with the defaults of this package:
# teachers in eval mode, padding masked. For one GPU.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/voc12_semi.py',
    '../_base_/schedules/semi_30k.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, type='MKD', segmentor=_base_.model)
default_hooks = dict(checkpoint=dict(save_best='student1/mIoU'))
custom_hooks = [*_base_.custom_hooks, dict(type='MeanTeacherHook', decay=0.6)]

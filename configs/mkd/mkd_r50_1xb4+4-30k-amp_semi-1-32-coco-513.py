# MKD on COCO 2017, 1/32 of UniMatch's splits, with the settings of VOC 2012.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16_coco.py',
    '../_base_/datasets/coco_semi.py',
    '../_base_/schedules/semi_30k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='MKD', segmentor=_base_.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student1/mIoU'))
custom_hooks = [*_base_.runtime_hooks, dict(type='MeanTeacherHook', decay=0.6)]

# MKD on COCO 2017, 1/32 of UniMatch's lists: settings are those of VOC.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/coco_semi.py',
    '../_base_/schedules/semi_30k.py',
    '../_base_/default_runtime.py',
]
_base_.model.decode_head.num_classes = 81
model = dict(_delete_=True, type='MKD', segmentor=_base_.model)
default_hooks = dict(checkpoint=dict(save_best='student1/mIoU'))
custom_hooks = [*_base_.custom_hooks, dict(type='MeanTeacherHook', decay=0.6)]

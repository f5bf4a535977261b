# MKD on Cityscapes, 1/16 of the CPS split. No recipe for Cityscapes was published:
# crop, batch, iterations and OHEM are our choice.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16_cityscapes.py',
    '../_base_/datasets/cityscapes_semi.py',
    '../_base_/schedules/semi_60k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='MKD', segmentor=_base_.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student1/mIoU'))
custom_hooks = [*_base_.runtime_hooks, dict(type='MeanTeacherHook', decay=0.6)]

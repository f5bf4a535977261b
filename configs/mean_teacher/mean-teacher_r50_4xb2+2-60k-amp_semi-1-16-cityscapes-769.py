# A student and its mean teacher. Same data and budget as the MKD config.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16_cityscapes.py',
    '../_base_/datasets/cityscapes_semi.py',
    '../_base_/schedules/semi_60k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MeanTeacherSegmentor',
    segmentor=_base_.segmentor,
    semi_train_cfg=dict(cutmix=dict(num_boxes=3, prop_range=(0.25, 0.5))),
)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [*_base_.runtime_hooks, dict(type='MeanTeacherHook', decay=0.99)]

# The labeled images alone. Same data and budget as the MKD config.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16_cityscapes.py',
    '../_base_/datasets/cityscapes_semi.py',
    '../_base_/schedules/semi_60k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='SupervisedSegmentor', segmentor=_base_.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))

# The labeled images alone. Same data and budget as the MKD config; the unlabeled images
# of a batch are not used, and get no color operations.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16_cityscapes.py',
    '../_base_/datasets/cityscapes_semi.py',
    '../_base_/schedules/semi_60k.py',
    '../_base_/default_runtime.py',
]
unlabeled_pipeline = [
    dict(type='LoadImageStrict'),
    *_base_.geometry,
    dict(type='SemiMultiBranch', unsup_weak=[dict(type='PackWeakInputs')]),
]
train_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=unlabeled_pipeline)))
model = dict(type='SupervisedSegmentor', segmentor=_base_.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))

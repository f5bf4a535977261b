# Two students that supervise each other, without color operations. Same images and
# budget as the MKD config.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16_cityscapes.py',
    '../_base_/datasets/cityscapes_semi.py',
    '../_base_/schedules/semi_60k.py',
    '../_base_/default_runtime.py',
]
weak_view = [dict(type='PackWeakInputs')]
labeled_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadAnnotationsStrict', num_classes=19),
    *_base_.geometry,
    dict(type='SemiMultiBranch', sup=weak_view),
]
unlabeled_pipeline = [
    dict(type='LoadImageStrict'),
    *_base_.geometry,
    dict(type='SemiMultiBranch', unsup_weak=weak_view),
]
train_dataloader = dict(
    dataset=dict(
        labeled=dict(pipeline=labeled_pipeline),
        unlabeled=dict(pipeline=unlabeled_pipeline),
    )
)
model = dict(
    type='CPS',
    segmentor=_base_.segmentor,
    semi_train_cfg=dict(cps_weight=5.0),
)
default_hooks = dict(checkpoint=dict(save_best='student1/mIoU'))

# Two students that teach each other, without color operations (mkd.md, section 14);
# images and budget are those of the MKD run.
_base_ = '../mkd/mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
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
    _delete_=True,
    type='CPS',
    segmentor=_base_.model.segmentor,
    semi_train_cfg=dict(cps_weight=5.0),
)
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

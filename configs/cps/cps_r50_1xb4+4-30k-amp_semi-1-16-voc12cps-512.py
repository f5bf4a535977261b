# Two students that teach each other, without color operations (mkd.md, section 14);
# images and budget are those of the MKD run.
_base_ = '../mkd/mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
weak_view = [dict(type='PackWeakInputs')]
labeled_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadAnnotationsStrict', num_classes=21),
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
model = dict(_delete_=True, type='CPS', segmentor=_base_.model.segmentor)
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

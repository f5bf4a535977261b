# Two students that teach each other, without colour operations (mkd.md, section 14);
# pictures and budget are those of the MKD run.
_base_ = './mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
weak_view = [dict(type='PackWeakInputs')]
labelled_pipeline = [
    dict(type='LoadPicture'),
    dict(type='LoadLabelMap', num_classes=19),
    *_base_.geometry,
    dict(type='SemiMultiBranch', sup=weak_view),
]
unlabelled_pipeline = [
    dict(type='LoadPicture'),
    *_base_.geometry,
    dict(type='SemiMultiBranch', unsup_weak=weak_view),
]
train_dataloader = dict(
    dataset=dict(
        labelled=dict(pipeline=labelled_pipeline),
        unlabelled=dict(pipeline=unlabelled_pipeline),
    )
)
model = dict(
    _delete_=True,
    type='CPS',
    segmentor=_base_.model.segmentor,
    semi_train_cfg=dict(cps_weight=5.0),
)
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

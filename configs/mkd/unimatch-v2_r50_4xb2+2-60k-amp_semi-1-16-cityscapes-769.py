# UniMatch V2: a mean teacher, two strong views of complementary features;
# data and budget are those of the MKD run.
_base_ = './mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
strong_view = [*_base_.unimatch_strong, dict(type='PackWeakInputs')]
unlabelled_pipeline = [
    dict(type='LoadPicture'),
    *_base_.geometry,
    dict(
        type='SemiMultiBranch',
        unsup_weak=[dict(type='PackWeakInputs')],
        unsup_strong_0=strong_view,
        unsup_strong_1=strong_view,
    ),
]
train_dataloader = dict(dataset=dict(unlabelled=dict(pipeline=unlabelled_pipeline)))
model = dict(_delete_=True, type='UniMatchV2', segmentor=_base_.model.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [
    h if h.type != 'MeanTeacherHook' else {**h, 'decay': 0.996}
    for h in _base_.custom_hooks
]

# UniMatch V2: a mean teacher, two strong views of complementary features;
# data and budget are those of the MKD run.
_base_ = '../mkd/mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
train_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=_base_.unimatch_pipeline)))
model = dict(_delete_=True, type='UniMatchV2', segmentor=_base_.model.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [
    h if h.type != 'MeanTeacherHook' else {**h, 'decay': 0.996}
    for h in _base_.custom_hooks
]

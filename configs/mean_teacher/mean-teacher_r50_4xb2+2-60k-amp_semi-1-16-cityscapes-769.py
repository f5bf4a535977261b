# A student and its mean teacher; data and budget are those of the MKD run.
_base_ = '../mkd/mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
model = dict(
    _delete_=True,
    type='MeanTeacherSegmentor',
    segmentor=_base_.model.segmentor,
    semi_train_cfg=dict(cutmix=dict(num_boxes=3, prop_range=(0.25, 0.5))),
)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [
    h if h.type != 'MeanTeacherHook' else {**h, 'decay': 0.99}
    for h in _base_.custom_hooks
]

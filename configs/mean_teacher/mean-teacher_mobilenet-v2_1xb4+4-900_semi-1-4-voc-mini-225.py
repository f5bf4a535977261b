# A student and its mean teacher; data, start and budget are those of the MKD run.
_base_ = '../mkd/mkd_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py'
model = dict(
    _delete_=True,
    type='MeanTeacherSegmentor',
    segmentor=_base_.model.segmentor,
    semi_train_cfg=dict(cutmix=dict(num_boxes=3, prop_range=(0.25, 0.5))),
)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))

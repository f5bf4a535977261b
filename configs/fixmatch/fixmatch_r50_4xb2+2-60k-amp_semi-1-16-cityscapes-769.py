# A student taught by itself, with UniMatch's strong views, without a threshold on
# Cityscapes; data and budget are those of the MKD run.
_base_ = '../mkd/mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
train_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=_base_.fixmatch_pipeline)))
model = dict(
    _delete_=True,
    type='FixMatch',
    segmentor=_base_.model.segmentor,
    semi_train_cfg=dict(pseudo_thr=0.0),
)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

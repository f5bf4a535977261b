# UniMatch V1: two strong views and one of perturbed features;
# data and budget are those of the MKD run.
_base_ = '../mkd/mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
train_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=_base_.unimatch_pipeline)))
model = dict(_delete_=True, type='UniMatch', segmentor=_base_.model.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

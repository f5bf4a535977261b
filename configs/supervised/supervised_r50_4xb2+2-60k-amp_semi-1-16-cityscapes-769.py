# The labeled images alone; data and budget are those of the MKD run.
_base_ = '../mkd/mkd_r50_4xb2+2-60k-amp_semi-1-16-cityscapes-769.py'
model = dict(_delete_=True, type='SemiBaseSegmentor', segmentor=_base_.model.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

# The labeled images alone; data, start and budget are those of the MKD run.
_base_ = '../mkd/mkd_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py'
model = dict(_delete_=True, type='SemiBaseSegmentor', segmentor=_base_.model.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

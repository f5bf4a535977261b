# Control: the labelled pictures of the MKD run alone, from the same start and for the
# same number of steps; the unlabelled ones are drawn and not looked at.
_base_ = './mkd_mobilenet-v2_1xb4+4-400_semi-1-4-voc-mini-225.py'
model = dict(_delete_=True, type='SemiBaseSegmentor', segmentor=_base_.model.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

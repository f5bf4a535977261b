# The 10 toy pictures with masks alone; budget and data are those of the MKD run.
_base_ = './mkd_r18_1xb8+8-400_semi-10-toy-voc-128.py'
model = dict(_delete_=True, type='SemiBaseSegmentor', segmentor=_base_.model.segmentor)
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

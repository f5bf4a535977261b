# Two students that teach each other; data and budget are those of the MKD run.
_base_ = './mkd_r50_1xb4+4-30k-amp_semi-1-16-voc12cps-512.py'
model = dict(_delete_=True, type='CPS', segmentor=_base_.model.segmentor)
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'MeanTeacherHook']

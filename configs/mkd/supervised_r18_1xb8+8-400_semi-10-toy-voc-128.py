# The 10 toy pictures with masks alone; the start of the MKD run.
_base_ = [
    '../_base_/models/toy_fcn.py',
    '../_base_/datasets/toy_voc_semi_10.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
model = dict(_delete_=True, type='SemiBaseSegmentor', segmentor=_base_.model)
val_cfg = dict(type='TeacherStudentValLoop')

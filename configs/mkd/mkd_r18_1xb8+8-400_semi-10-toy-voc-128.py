# What tools/demo_mkd.py trains: 10 toy pictures with masks and 390 bare ones.
_base_ = [
    '../_base_/models/toy_fcn.py',
    '../_base_/datasets/toy_voc_semi_10.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='MKD',
    segmentor=_base_.model,
    semi_train_cfg=dict(loss_scale_factor=2.0),
)
val_cfg = dict(type='TeacherStudentValLoop')
custom_hooks = [*_base_.custom_hooks, dict(type='MeanTeacherHook', decay=0.6)]

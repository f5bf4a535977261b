# What tools/demo_mkd.py trains: 10 toy images with masks and 390 bare ones, from the
# network of the 10 masks alone. With so few masks many labels are wrong: only sure ones
# serve, slower teachers give them, and no offset blurs them.
_base_ = [
    '../_base_/models/toy_fcn.py',
    '../_base_/datasets/toy_voc_semi_10.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
max_iters = 600
model = dict(
    _delete_=True,
    type='MKD',
    segmentor=_base_.model,
    # The head's logits are at stride 8 already, which the published 0.5 would lead to.
    semi_train_cfg=dict(
        isda=None,
        pseudo_thr_teacher=0.8,
        pseudo_thr_student=0.8,
        loss_scale_factor=1.0,
    ),
)
load_from = 'work_dirs/supervised_r18_1xb8+8-700_semi-10-toy-voc-128/iter_700.pth'
param_scheduler = [
    dict(type='PolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='TeacherStudentValLoop')
custom_hooks = [*_base_.custom_hooks, dict(type='MeanTeacherHook', decay=0.98)]

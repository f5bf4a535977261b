# 400 steps from the supervised start, 4 labelled and 4 unlabelled pictures each.
_base_ = [
    '../_base_/models/fcn_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_semi_1_4.py',
    '../_base_/schedules/mini_400.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _delete_=True,
    type='MKD',
    segmentor=_base_.model,
    # The head's logits are at stride 16; at its half no object of 225 pixels is left.
    semi_train_cfg=dict(loss_scale_factor=2.0),
)
load_from = (
    'work_dirs/supervised_mobilenet-v2_1xb8-400_sup-1-4-voc-mini-225/iter_400.pth'
)
train_cfg = dict(val_interval=200)
val_cfg = dict(type='TeacherStudentValLoop')
default_hooks = dict(checkpoint=dict(save_best='student1/mIoU'))
custom_hooks = [*_base_.custom_hooks, dict(type='MeanTeacherHook', decay=0.6)]

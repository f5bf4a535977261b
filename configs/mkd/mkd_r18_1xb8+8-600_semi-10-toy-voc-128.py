# The config of tools/demo_mkd.py: 10 labeled and 390 unlabeled toy images, from the
# network of the 10 masks alone. With so few masks many pseudo-labels are wrong: hence
# high thresholds, slow teachers and no feature augmentation.
_base_ = [
    '../_base_/models/toy_fcn.py',
    '../_base_/datasets/toy_voc_semi_10.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
max_iters = 600
model = dict(
    type='MKD',
    segmentor=_base_.segmentor,
    semi_train_cfg=dict(
        isda=None,
        pseudo_thr_teacher=0.8,
        pseudo_thr_student=0.8,
        # The logits already have stride 8, as the published 0.5 yields.
        loss_scale_factor=1.0,
    ),
)
load_from = 'work_dirs/supervised_r18_1xb8+8-700_semi-10-toy-voc-128/iter_700.pth'
param_scheduler = [
    dict(type='PolyLR', power=0.9, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='TeacherStudentValLoop')
custom_hooks = [*_base_.runtime_hooks, dict(type='MeanTeacherHook', decay=0.98)]

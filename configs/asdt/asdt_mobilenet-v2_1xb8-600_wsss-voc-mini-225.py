_base_ = [
    '../_base_/models/rrm_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_weak.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ASDT',
    teacher_head=_base_.head,
    crf_b=dict(
        type='DenseCRF',
        bilateral_sxy=83.0,
        bilateral_srgb=5.0,
        bilateral_compat=4.0,
        scale_factor=0.5,
    ),
)
load_from = 'work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth'
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='PWMDistillationHook', period=30, divisor=3, begin=150),
]

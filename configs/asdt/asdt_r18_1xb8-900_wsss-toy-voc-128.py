# What `make demo` trains: the classifier alone for 400 iterations, then all three heads.
_base_ = [
    '../_base_/models/toy.py',
    '../_base_/datasets/toy_voc_weak.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ASDT',
    teacher_head=_base_.head,
    distill_weight=1.0,
    tag_filter=True,
    # At the scale of 128 pixels.
    crf=dict(type='DenseCRF', bilateral_sxy=30.0, bilateral_srgb=13.0),
    crf_b=dict(
        type='DenseCRF',
        bilateral_sxy=30.0,
        bilateral_srgb=10.0,
        bilateral_compat=5.0,
    ),
    dense_energy=dict(weight=1e-7),
    train_cfg=dict(cam=dict(scales=(1.0, 0.5, 1.5))),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='WeakWarmupHook', iters=400),
    dict(type='PWMDistillationHook', period=20, divisor=2, begin=550),
]

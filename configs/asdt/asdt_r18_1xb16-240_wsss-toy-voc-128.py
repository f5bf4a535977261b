# Trained by `make demo`, from the classifier of the toy set.
_base_ = [
    '../_base_/models/toy.py',
    '../_base_/datasets/toy_voc_weak.py',
    '../_base_/schedules/toy_240.py',
    '../_base_/default_runtime.py',
]
_crf_b = dict(
    type='DenseCRF', bilateral_sxy=30.0, bilateral_srgb=20.0, bilateral_compat=20.0
)
model = dict(
    type='ASDT',
    decode_head=_base_.head,
    teacher_head=_base_.head,
    loss_seg=dict(type='ValidCrossEntropyLoss'),
    distill_weight=1.0,
    tag_filter=True,
    # Spatial sigmas are scaled to 128 pixels: (64 x 64)^2 pairs of pixels have the
    # energy of (160 x 160)^2 pairs with a weight of 6.1e-8 (published: 5.8e-8).
    crf=dict(type='DenseCRF', bilateral_sxy=30.0, bilateral_srgb=20.0),
    crf_b=_crf_b,
    dense_energy=dict(weight=2.4e-6, sigma_xy=40.0),
    train_cfg=dict(cam=dict(scales=(1.0, 0.5))),
)
tta_model = dict(type='WSSSTTAModel', crf=_crf_b)
load_from = 'work_dirs/cam_r18_1xb16-400_wsss-toy-voc-128/iter_400.pth'
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='PWMDistillationHook', period=20, divisor=2, begin=100),
]

# Phase 2: RCM and MAM for 10 epochs. Both networks start from MainNet of phase 1, with
# an empty memory. The best epoch of phase 1 is named best_cam_mIoU_iter_*.pth; to start
# from it, set --cfg-options load_from=...
_base_ = [
    '../_base_/models/rcmmam_wrn38.py',
    '../_base_/datasets/voc12_aug_weak_384.py',
    '../_base_/schedules/rcmmam.py',
    '../_base_/default_runtime.py',
]
randomness = dict(seed=5123)
max_iters = 10 * _base_.epoch
load_from = 'work_dirs/rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384/iter_19830.pth'
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='MeanTeacherHook', decay=0.996, schedule='constant'),
    dict(type='MultiScaleAttentionHook', begin=0, restart_support=True),
]

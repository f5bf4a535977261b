_base_ = [
    '../_base_/models/camseg_mit-b1.py',
    '../_base_/datasets/voc12_aug_weak_512.py',
    '../_base_/schedules/afa_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='TSCD', train_align_corners=True)
custom_hooks = [
    *_base_.runtime_hooks,
    dict(type='WeakWarmupHook', iters=2001),  # released: `i <= 2000`, counted from 0
]

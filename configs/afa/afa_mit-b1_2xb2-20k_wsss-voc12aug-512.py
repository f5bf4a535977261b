_base_ = [
    '../_base_/models/camseg_mit-b1.py',
    '../_base_/datasets/voc12_aug_weak_512.py',
    '../_base_/schedules/afa_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='AFA')
custom_hooks = [
    *_base_.runtime_hooks,
    # Released: `i <= 2000` and `i <= 6000`, counted from 0.
    dict(type='WeakWarmupHook', iters=2001),
    dict(type='AffinityLabelHook', begin=6001),
]

# From scratch: the classifier alone for half of the iterations.
_base_ = [
    '../_base_/models/camseg_mit-toy.py',
    '../_base_/datasets/toy_voc_weak.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
model = dict(type='TSCD', n_points=400)
custom_hooks = [*_base_.runtime_hooks, dict(type='WeakWarmupHook', iters=200)]

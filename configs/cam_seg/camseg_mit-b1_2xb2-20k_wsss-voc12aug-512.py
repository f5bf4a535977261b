# Ablation of the TSCD config, with the same data and budget: labels from thresholded
# CAMs without refinement, no affinity, no second view.
_base_ = [
    '../_base_/models/camseg_mit-b1.py',
    '../_base_/datasets/voc12_aug_weak_512.py',
    '../_base_/schedules/afa_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(type='CAMSeg')
custom_hooks = [*_base_.runtime_hooks, dict(type='WeakWarmupHook', iters=2001)]

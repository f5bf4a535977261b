# Starts from the classifier of the toy set.
_base_ = [
    '../_base_/models/afa_toy.py',
    '../_base_/datasets/toy_voc_weak.py',
    '../_base_/schedules/toy_240.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/cam_r18_1xb16-400_wsss-toy-voc-128/iter_400.pth'
custom_hooks = [*_base_.weak_hooks, dict(type='AffinityLabelHook', begin=120)]

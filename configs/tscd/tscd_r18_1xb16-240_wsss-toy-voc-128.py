# TSCD with the same classifier and budget as the AFA run.
_base_ = [
    '../_base_/models/afa_toy.py',
    '../_base_/datasets/toy_voc_weak.py',
    '../_base_/schedules/toy_240.py',
    '../_base_/default_runtime.py',
]
# Batch norm keeps the classifier's statistics; the small second view would change them.
model = dict(type='TSCD', n_points=400, backbone=dict(norm_eval=True))
load_from = 'work_dirs/cam_r18_1xb16-400_wsss-toy-voc-128/iter_400.pth'
custom_hooks = _base_.weak_hooks

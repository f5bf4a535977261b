# TSCD with the same classifier and budget as the AFA run.
_base_ = [
    '../_base_/models/afa_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_weak.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
model = dict(type='TSCD')
load_from = 'work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth'
custom_hooks = _base_.weak_hooks

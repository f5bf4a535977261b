# CAM + segmentation: the control of the AFA and TSCD runs, without refined labels;
# same start, same budget.
_base_ = [
    '../_base_/models/camseg_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_weak.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth'
custom_hooks = _base_.weak_hooks

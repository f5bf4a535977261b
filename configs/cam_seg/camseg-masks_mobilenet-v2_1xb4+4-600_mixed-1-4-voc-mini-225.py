# First stage of configs/pipelines/mixed_voc-mini.py: 51 masks supervise the decode
# head, and all tags the classifier.
_base_ = [
    '../_base_/models/camseg-masks_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_tags-and-masks.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth'
custom_hooks = _base_.weak_hooks

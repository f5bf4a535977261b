# Ablation of the TSCD config: the classifier alone, with the same data and budget.
_base_ = [
    '../_base_/models/cam_mit-b1.py',
    '../_base_/datasets/voc12_aug_weak_512.py',
    '../_base_/schedules/afa_20k.py',
    '../_base_/default_runtime.py',
]
model = dict(cam_normalization='minmax')

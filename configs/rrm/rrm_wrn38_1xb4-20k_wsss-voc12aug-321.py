# Ablation (a) of the ASDT config: RRM with its settings.
_base_ = [
    '../_base_/models/rrm_wrn38.py',
    '../_base_/datasets/voc12_aug_weak.py',
    '../_base_/schedules/asdt_20k.py',
    '../_base_/default_runtime.py',
]
custom_hooks = _base_.weak_hooks

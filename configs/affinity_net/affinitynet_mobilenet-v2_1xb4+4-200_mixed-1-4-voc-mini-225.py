# AffinityNet of configs/pipelines/mixed_voc-mini.py, also trained on 51 masks. Its
# seeds are probabilities of a network that favors the background, hence the power
# (compared on the 154 images without given masks: docs/results_appendix.md).
_base_ = [
    '../_base_/models/affinity_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_affinity_tags-and-masks.py',
    '../_base_/schedules/mini_200.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='AffinityNet',
    walk_alpha=4.0,
    affinity_head=dict(
        in_channels=(320, 96, 32), channels=(64, 64, 32), in_index=(2, 1, 0)
    ),
)
load_from = 'work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth'
custom_hooks = _base_.weak_hooks

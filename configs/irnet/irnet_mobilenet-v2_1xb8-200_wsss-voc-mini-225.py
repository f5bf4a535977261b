# Class boundaries in place of pairwise affinities. Same data, start and budget as the
# AffinityNet config.
_base_ = [
    '../_base_/models/affinity_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_affinity.py',
    '../_base_/schedules/mini_200.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='IRNet',
    affinity_head=dict(in_channels=(32, 96, 320), channels=32, in_index=(0, 1, 2)),
)
load_from = 'work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth'
custom_hooks = _base_.weak_hooks

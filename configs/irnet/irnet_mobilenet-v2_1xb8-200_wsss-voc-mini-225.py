# IRN's boundaries in place of AffinityNet's distances; the rest is the same.
_base_ = '../affinity_net/affinitynet_mobilenet-v2_1xb8-200_wsss-voc-mini-225.py'
model = dict(
    type='IRNet',
    affinity_head=dict(
        _delete_=True, in_channels=(32, 96, 320), channels=32, in_index=(0, 1, 2)
    ),
)

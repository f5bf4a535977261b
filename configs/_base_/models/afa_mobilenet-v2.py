# The affinity comes from queries and keys that are learnt on the last map.
_base_ = './camseg_mobilenet-v2.py'
model = dict(
    type='AFA',
    affinity_head=dict(in_channels=320, num_heads=8, embed_channels=256),
)

# The affinity comes from an embedding that is learnt on the last map, whose 15 cells of
# a crop are half of those that the published radius 8 belongs to.
_base_ = './camseg_mobilenet-v2.py'
model = dict(
    type='AFA',
    affinity_head=dict(in_channels=320, num_heads=8, embed_channels=256),
    loss_affinity=dict(type='AffinityLoss', loss_weight=0.1, radius=4),
    radius=4,
)

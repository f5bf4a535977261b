# The affinity is computed from an embedding of the last feature map. A crop has 15
# cells per side, half as many as in the published setting with radius 8.
_base_ = './camseg_mobilenet-v2.py'
model = dict(
    type='AFA',
    affinity_head=dict(in_channels=320, num_heads=8, embed_channels=256),
    loss_affinity=dict(type='AffinityLoss', loss_weight=0.1, radius=4),
    radius=4,
)

# TSCD's own settings for COCO were not published: AFA's schedule, with TSCD's refiner.
_base_ = '../afa/afa_mit-b1_4xb2-80k_wsss-coco14-512.py'
model = dict(
    type='TSCD',
    decode_head=dict(align_corners=True),
    refiner=dict(_delete_=True, type='LocalAffinityRefiner', kind='varm'),
)
custom_hooks = [h for h in _base_.custom_hooks if h.type != 'AffinityLabelHook']

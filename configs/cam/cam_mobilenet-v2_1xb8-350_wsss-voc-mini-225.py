# The classifier from which the voc-mini runs of all methods start: plain CAM.
_base_ = [
    '../_base_/models/cam_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_weak.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
max_iters = 350
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
model = dict(test_cfg=dict(pseudo_sources=['cam'], predict_tags=True))
val_evaluator = [
    dict(type='PseudoLabelMetric', sources=('cam',)),
    dict(type='MultiLabelMetric'),
]
test_evaluator = val_evaluator

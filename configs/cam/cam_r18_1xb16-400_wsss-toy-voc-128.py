# The classifier from which the runs on the toy set start: plain CAM.
_base_ = [
    '../_base_/models/toy.py',
    '../_base_/datasets/toy_voc_weak.py',
    '../_base_/schedules/toy.py',
    '../_base_/default_runtime.py',
]
model = dict(test_cfg=dict(pseudo_sources=['cam'], predict_tags=True))
val_evaluator = [
    dict(type='PseudoLabelMetric', sources=('cam',)),
    dict(type='MultiLabelMetric'),
]
test_evaluator = val_evaluator

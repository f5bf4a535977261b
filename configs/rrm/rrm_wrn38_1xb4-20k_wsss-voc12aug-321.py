# Ablation (a): one segmentation head on teacher A's labels, with weight 1.
_base_ = [
    '../_base_/models/asdt_wrn38.py',
    '../_base_/datasets/voc12_aug_weak.py',
    '../_base_/schedules/asdt_20k.py',
    '../_base_/default_runtime.py',
]
_asdt = _base_.model
model = dict(
    _delete_=True,
    type='RRM',
    data_preprocessor=_base_.data_preprocessor,
    backbone=_asdt.backbone,
    cam_head=_asdt.cam_head,
    decode_head=_base_.head,
    crf=_asdt.crf,
    dense_energy=_asdt.dense_energy,
    train_cfg=_asdt.train_cfg,
    test_cfg=dict(mode='whole', cam=_asdt.test_cfg.cam),
)

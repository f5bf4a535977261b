# The classifier alone, with the data and budget of the TSCD config, of which it is an
# ablation.
_base_ = [
    '../_base_/models/camseg_mit-b1.py',
    '../_base_/datasets/voc12_aug_weak_512.py',
    '../_base_/schedules/afa_20k.py',
    '../_base_/default_runtime.py',
]
_camseg = _base_.model
model = dict(
    _delete_=True,
    type='CAM',
    data_preprocessor=_base_.data_preprocessor,
    backbone=_camseg.backbone,
    cam_head=_camseg.cam_head,
    test_cfg=dict(mode='whole', cam=_camseg.test_cfg.cam, cam_normalization='minmax'),
)

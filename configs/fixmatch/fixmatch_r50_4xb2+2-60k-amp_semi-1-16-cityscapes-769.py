# One strong view per unlabeled image, no teacher. Same data and budget as the MKD
# config. As published for Cityscapes, there is no confidence threshold.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16_cityscapes.py',
    '../_base_/datasets/cityscapes_semi.py',
    '../_base_/schedules/semi_60k.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=_base_.fixmatch_pipeline)))
model = dict(
    type='FixMatch',
    segmentor=_base_.segmentor,
    semi_train_cfg=dict(pseudo_thr=0.0),
)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))

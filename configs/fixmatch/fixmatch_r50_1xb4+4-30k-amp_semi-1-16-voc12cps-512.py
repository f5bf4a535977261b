# One strong view per unlabeled image, no teacher. Same data and budget as the MKD
# config.
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/voc12_semi.py',
    '../_base_/schedules/semi_30k.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=_base_.fixmatch_pipeline)))
model = dict(type='FixMatch', segmentor=_base_.segmentor)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))

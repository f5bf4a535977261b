# One strong view per unlabeled image, no teacher. Same data, start and budget as the
# MKD config.
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenet-v2_few-masks.py',
    '../_base_/datasets/voc_mini_semi_1_4.py',
    '../_base_/schedules/semi_mini_900.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(unlabeled=dict(pipeline=_base_.fixmatch_pipeline)))
model = dict(type='FixMatch', segmentor=_base_.segmentor)
load_from = (
    'work_dirs/supervised_mobilenet-v2_1xb8-1000_sup-1-4-voc-mini-225/iter_1000.pth'
)
default_hooks = dict(checkpoint=dict(save_best='student/mIoU'))

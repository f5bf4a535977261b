# The start of all semi-supervised runs on voc-mini: 51 masks, on plain mmseg.
_base_ = [
    '../_base_/models/deeplabv3plus_mobilenet-v2_few-masks.py',
    '../_base_/datasets/voc_mini_masks.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/plain_runtime.py',
]
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(seg_map_path=f'{_base_.voc}/SegmentationClass'),
        ann_file=f'{_base_.voc}/ImageSets/Segmentation/semi_1_4/labeled.txt',
    )
)
model = _base_.segmentor
model.data_preprocessor.update(size=_base_.crop_size, size_divisor=None)
max_iters = 1000
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=max_iters))

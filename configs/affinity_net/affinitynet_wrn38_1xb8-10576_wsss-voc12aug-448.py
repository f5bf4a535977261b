# AffinityNet on WideResNet-38 with PSA's settings: 8 epochs of 10,582 images, new
# layers at ten times the learning rate. tools/wsss_pipeline.py sets the folders.
# Source: Ahn and Kwak, https://arxiv.org/abs/1803.10464
_base_ = [
    '../_base_/models/rcmmam_wrn38.py',
    '../_base_/datasets/voc12_aug_weak.py',
    '../_base_/schedules/rcmmam.py',
    '../_base_/default_runtime.py',
]
crop_size = (448, 448)
max_iters = 8 * _base_.epoch
pipeline_dir = 'work_dirs/rcmmam_voc12'
model = dict(
    type='AffinityNet',
    decode_head=dict(type='CAMHead'),  # only read by mmseg's get_flops.py
    backbone=dict(
        out_indices=(2, 3, 5),
        dropout=(0.0, 0.0),
        init_cfg=dict(checkpoint='data/weights/res38_cls.pth'),
    ),
    loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=0.0),
)
train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(
        type='LoadPseudoLabel',
        folder=f'{pipeline_dir}/affinity_labels/masks',
        num_classes=21,
    ),
    dict(type='RandomRescale', ratio_range=(0.7, 1.3)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=crop_size),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
export_pipeline = [
    dict(type='LoadImageStrict'),
    dict(
        type='LoadPseudoLabel',
        folder=f'{pipeline_dir}/seeds/maps',
        num_classes=21,
        soft=True,
    ),
    dict(type='PackWeakInputs'),
]
export_dataloader = dict(dataset=dict(pipeline=export_pipeline))
val_dataloader = None
val_evaluator = None
val_cfg = None
optim_wrapper = dict(
    optimizer=dict(lr=0.1),
    paramwise_cfg=dict(custom_keys={'affinity_head': dict(lr_mult=10.0)}),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(save_best=None))
custom_hooks = _base_.weak_hooks

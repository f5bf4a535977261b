# AffinityNet of the pipeline on voc-mini: maps of strides 16 and 8 are compared at
# stride 8. The folders are set by tools/wsss_pipeline.py.
_base_ = [
    '../_base_/models/cam_mobilenet-v2.py',
    '../_base_/datasets/voc_mini_weak.py',
    '../_base_/schedules/mini_600.py',
    '../_base_/default_runtime.py',
]
max_iters = 200
pipeline_dir = 'work_dirs/rcmmam_voc-mini'
model = dict(
    type='AffinityNet',
    backbone=dict(out_indices=(2, 4, 6)),
    loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=0.0),
    affinity_head=dict(
        in_channels=(320, 96, 32), channels=(64, 64, 32), in_index=(2, 1, 0)
    ),
    # Half the size in the CRF: a quarter of the time.
    crf=dict(scale_factor=0.5),
    # PSA's 256 steps go too far for affinities of 200 iterations (docs/results.md).
    walk_alpha=4.0,
    walk=dict(beta=12.0, steps=32),
)
train_pipeline = [
    dict(type='LoadImageStrict'),
    dict(
        type='LoadPseudoLabel',
        folder=f'{pipeline_dir}/affinity_labels/masks',
        num_classes=21,
    ),
    dict(type='RandomRescale', ratio_range=(0.5, 1.2)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCropPad', crop_size=_base_.crop_size),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
export_pipeline = [
    dict(type='LoadImageStrict'),
    dict(
        type='LoadPseudoLabel',
        folder=f'{pipeline_dir}/seeds/maps',
        num_classes=21,
        soft=True,
    ),
    dict(type='Resize', scale=(321, 321), keep_ratio=True),
    dict(type='PackWeakInputs'),
]
export_dataloader = dict(dataset=dict(pipeline=export_pipeline))
load_from = 'work_dirs/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225/iter_350.pth'
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'affinity_head': dict(lr_mult=10.0)})
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))

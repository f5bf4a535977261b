# AffinityNet on the images of cam_tags.py, for tools/wsss_pipeline.py: edit the block
# there. The pipeline sets the folders of the labels and of the seeds.
_base_ = './cam_tags.py'
max_iters = 600

load = dict(type='LoadPseudoLabel', folder='', num_classes=len(_base_.classes) + 1)
train_pipeline = list(_base_.train_pipeline)
train_pipeline.insert(1, load)
export_pipeline = list(_base_.export_dataloader.dataset.pipeline)
export_pipeline.insert(1, dict(load, soft=True))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
export_dataloader = dict(dataset=dict(pipeline=export_pipeline))
model = dict(
    type='AffinityNet',
    backbone=dict(out_indices=(2, 4, 6)),
    loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=0.0),
    crf=dict(scale_factor=0.5),
    walk_alpha=4.0,
    walk=dict(beta=12.0, steps=32),
    affinity_head=dict(
        in_channels=(320, 96, 32), channels=(64, 64, 32), in_index=(2, 1, 0)
    ),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = _base_.weak_hooks

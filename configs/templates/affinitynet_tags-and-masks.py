# AffinityNet on the images of camseg_tags-and-masks.py, for tools/wsss_pipeline.py:
# edit the block there. The pipeline sets the folders of the labels and of the seeds;
# images with masks have these instead.
_base_ = './camseg_tags-and-masks.py'
max_iters = 600

load = dict(type='LoadPseudoLabel', folder='', num_classes=_base_.num_classes)
train_pipeline = list(_base_.train_dataloader.dataset.tagged.pipeline)
train_pipeline.insert(1, load)
export_pipeline = list(_base_.export_dataloader.dataset.tagged.pipeline)
export_pipeline.insert(1, dict(load, soft=True))
train_dataloader = dict(dataset=dict(tagged=dict(pipeline=train_pipeline)))
export_dataloader = dict(dataset=dict(tagged=dict(pipeline=export_pipeline)))
backbone = dict(_base_.model.backbone)
backbone.update(out_indices=(2, 4, 6))
model = dict(
    _delete_=True,
    type='AffinityNet',
    decode_head=dict(type='CAMHead'),  # only read by mmseg's get_flops.py
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=backbone,
    cam_head=_base_.model.cam_head,
    loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=0.0),
    crf=dict(scale_factor=0.5),
    # The seeds are probabilities of a network that favors the background.
    walk_alpha=4.0,
    walk=dict(beta=12.0, steps=32),
    affinity_head=dict(
        in_channels=(320, 96, 32), channels=(64, 64, 32), in_index=(2, 1, 0)
    ),
    test_cfg=dict(mode='whole', cam=_base_.model.test_cfg.cam),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)

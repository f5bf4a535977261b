# DeepLabV3+ on pseudo-masks and masks of the images of camseg_tags-and-masks.py, for
# tools/wsss_pipeline.py: edit the block there. The pipeline sets the folder of the
# pseudo-masks, which has the masks of the labeled images too.
_base_ = './camseg_tags-and-masks.py'
max_iters = 2000

head = dict(_base_.head)
head.update(num_classes=_base_.num_classes)
model = dict(
    _delete_=True,
    type='EncoderDecoder',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    decode_head=head,
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.45, 0.9), keep_ratio=True
    ),
    dict(type='RandomCrop', crop_size=_base_.crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
labeled = dict(
    type='BaseSegDataset',
    data_prefix=dict(img_path=_base_.labeled_images, seg_map_path='masks'),
    img_suffix=_base_.img_suffix,
    ann_file=_base_.labeled_list,
    metainfo=dict(classes=('background', *_base_.classes)),
    pipeline=train_pipeline,
)
tagged = dict(
    type='ImageFolder',
    data_root=_base_.data_root,
    classes=_base_.classes,
    ann_file=_base_.tagged_list,
    data_prefix=dict(img_path='', seg_map_path='masks'),
    pipeline=train_pipeline,
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[labeled, tagged],
        ignore_keys=['palette'],
    ),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [dict(type='NonFiniteLossHook')]

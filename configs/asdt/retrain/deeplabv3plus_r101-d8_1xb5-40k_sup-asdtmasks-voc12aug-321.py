# Stage 2 with the settings of the published DeepLab-v2 run: crop 321, batches of 5, two
# batches per update, 20,000 updates, and its CRF for tools/test.py --crf. mmseg has no
# DeepLab-v2; the head is DeepLabV3+, at ten times the learning rate.
_base_ = [
    '../../_base_/models/deeplabv3plus_r101-d8.py',
    '../../_base_/datasets/voc12_aug_masks.py',
    '../../_base_/schedules/retrain_20k.py',
    '../../_base_/plain_runtime.py',
]
max_iters = 40000
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    # The longer side of most images is 500 pixels.
    dict(
        type='RandomResize', scale=(500, 500), ratio_range=(0.5, 1.5), keep_ratio=True
    ),
    dict(type='RandomCrop', crop_size=(321, 321)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(
    accumulative_counts=2,
    optimizer=dict(lr=2.5e-4),
    paramwise_cfg=dict(
        custom_keys={
            'decode_head': dict(lr_mult=10.0),
            'auxiliary_head': dict(lr_mult=10.0),
        }
    ),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=4000)
default_hooks = dict(checkpoint=dict(interval=4000))

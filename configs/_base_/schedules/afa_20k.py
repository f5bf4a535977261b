# AdamW with linear warm-up, and a linear decay that counts from iteration 0: at the end
# of the warm-up the rate drops from 1 to 1 - 1500 / 20000, as in the released code.
max_iters = 20000
warmup = 1500
frozen = dict(lr_mult=0.0, decay_mult=0.0)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={
            # All norm layers of the backbone are frozen, including those that end a
            # stage.
            'norm': frozen,
            'backbone.layers.0.2.': frozen,
            'backbone.layers.1.2.': frozen,
            'backbone.layers.2.2.': frozen,
            'backbone.layers.3.2.': frozen,
            'cam_head': dict(lr_mult=10.0),
            'affinity_head': dict(lr_mult=10.0),
            'decode_head': dict(lr_mult=10.0),
        }
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=warmup, by_epoch=False),
    dict(
        type='ConstantLR',
        factor=1 - warmup / max_iters,
        begin=warmup,
        end=max_iters + 1,
        by_epoch=False,
    ),
    dict(type='PolyLR', power=1.0, begin=warmup, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2000),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)

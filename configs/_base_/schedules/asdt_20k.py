# SGD without momentum, poly decay; heads at ten times the learning rate, biases at
# twice the rate of their weights and without weight decay, as in the released code.
max_iters = 20000
head_bias = dict(lr_mult=20.0, decay_mult=0.0)
optimizer = dict(type='SGD', lr=7e-4, momentum=0.0, weight_decay=1e-5)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=optimizer,
    paramwise_cfg=dict(
        bias_lr_mult=2.0,
        bias_decay_mult=0.0,
        custom_keys={
            'cam_head': dict(lr_mult=10.0),
            'teacher_head': dict(lr_mult=10.0),
            'decode_head': dict(lr_mult=10.0),
            'teacher_head.conv.conv.bias': head_bias,
            'teacher_head.conv_seg.bias': head_bias,
            'decode_head.conv.conv.bias': head_bias,
            'decode_head.conv_seg.bias': head_bias,
        },
    ),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The published evaluation uses iteration 18,000 of 20,000.
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2000),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)

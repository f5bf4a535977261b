# Ways to narrow the CAMs of a plain classifier on voc-mini, which extend beyond the
# objects: the pooling, the number of steps, the scales of the exported CAM.
_config = 'cam/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225.py'
baseline = 'classifier'
seeds = (0, 1, 2)
# Both make the steps faster on a CPU, see the page Benchmarks.
cfg_options = {
    'default_hooks.efficient_conv': dict(type='EfficientConvHook'),
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
sources = ('cam',)
allow_different = ('budget',)
runs = {
    'classifier': dict(config=_config),
    'maximum pooling': dict(
        config=_config, cfg_options={'model.cam_head.pooling': 'gmp'}
    ),
    '100 steps': dict(config=_config, max_iters=100),
    'CAM at scales 1.5 and 2': dict(
        config=_config, cfg_options={'model.test_cfg.cam.scales': (1.5, 2.0)}
    ),
    '900 steps': dict(config=_config, max_iters=900),
}

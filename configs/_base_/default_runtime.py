default_scope = 'mmseg'
custom_imports = dict(imports=['mmseg_wsss'], allow_failed_imports=False)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer'
)
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False

# StartupCheckHook rejects configs that are known to train incorrectly. With
# IterationSeedHook, a resumed run equals an uninterrupted one. NonFiniteLossHook stops
# at the first loss that is not finite, before anything is saved. A config with hooks of
# its method sets `custom_hooks = [*_base_.runtime_hooks, dict(type=...)]`; weak_hooks
# are the hooks of a weakly supervised method without warm-up.
runtime_hooks = [
    dict(type='StartupCheckHook'),
    dict(type='IterationSeedHook'),
    dict(type='NonFiniteLossHook'),
]
weak_hooks = [*runtime_hooks, dict(type='WeakWarmupHook', iters=0)]
custom_hooks = runtime_hooks

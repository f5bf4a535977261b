# AFA: labels from a random walk along the affinity in the second half, against labels
# from the local refiner alone, with and without the affinity loss. All start from the
# classifier of the same seed and take 240 steps.
_afa = dict(config='afa/afa_r18_1xb16-240_wsss-toy-voc-128.py', start='classifier')
_never = dict(AffinityLabelHook=dict(begin=239))  # the last step, at a rate of 0
_no_loss = {'model.loss_affinity': dict(type='AffinityLoss', loss_weight=0.0)}

baseline = 'local refiner'
seeds = (0, 1, 2, 3, 4)
cfg_options = {
    # Pseudo-labels are scored on the first 100 training images.
    'export_dataloader.dataset.dataset.indices': 100,
    # Both make the steps faster on a CPU, see the page Benchmarks.
    'default_hooks.efficient_conv': dict(type='EfficientConvHook'),
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
starts = dict(
    classifier=dict(
        config='cam/cam_r18_1xb16-400_wsss-toy-voc-128.py', sources=('cam',)
    )
)
sources = ('cam', 'cam_refined', 'merged', 'affinity')
tests = {'single scale': {}}
runs = {
    'local refiner': dict(hooks=_never, cfg_options=_no_loss, **_afa),
    'affinity loss': dict(hooks=_never, **_afa),
    'affinity loss and walk': _afa,
}

# TSCD: self-correspondence distillation (SCD), and VARM against PAR as the refiner. All
# start from the classifier of the same seed and take 240 steps.
_tscd = dict(config='tscd/tscd_r18_1xb16-240_wsss-toy-voc-128.py', start='classifier')
_no_scd = {'model.loss_scd': None}
_par = {'model.refiner': dict(type='LocalAffinityRefiner', kind='par')}

baseline = 'PAR'
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
sources = ('cam', 'cam_refined', 'merged')
tests = {'single scale': {}}
runs = {
    'PAR': dict(cfg_options={**_no_scd, **_par}, **_tscd),
    'VARM': dict(cfg_options=_no_scd, **_tscd),
    'SCD + PAR': dict(cfg_options=_par, **_tscd),
    'SCD + VARM': _tscd,
}

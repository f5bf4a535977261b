# CAMs of RCM and MAM on the tags of 205 images of voc-mini, from the same classifier.
_run = 'rcm_mam/rcmmam{}_mobilenet-v2_1xb8-300_wsss-voc-mini-225.py'

baseline = 'classifier alone'
seeds = (0, 1, 2)
# Both make the steps faster on a CPU, see the page Benchmarks.
cfg_options = {
    'default_hooks.efficient_conv': dict(type='EfficientConvHook'),
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
starts = dict(
    classifier=dict(
        config='cam/cam_mobilenet-v2_1xb8-350_wsss-voc-mini-225.py', sources=('cam',)
    )
)
sources = ('cam', 'region')
runs = {
    'classifier alone': dict(config=_run.format('-none'), start='classifier'),
    'RCM': dict(config=_run.format('-rcm'), start='classifier'),
    'MAM': dict(config=_run.format('-mam'), start='classifier'),
    'RCM + MAM': dict(config=_run.format(''), start='classifier'),
}

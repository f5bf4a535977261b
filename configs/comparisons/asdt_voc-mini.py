# ASDT on the tags of 205 images of voc-mini: with and without distillation, and RRM,
# which has one head and only teacher A. All start from the same classifier.
_run = '{0}/{1}_mobilenet-v2_1xb8-600_wsss-voc-mini-225.py'
_asdt = dict(config=_run.format('asdt', 'asdt'), start='classifier')

baseline = 'never'
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
sources = ('cam', 'teacher_a', 'teacher_b', 'fused')
tests = {'single scale': {}}
runs = {
    'never': dict(hooks=dict(PWMDistillationHook=dict(mode='never')), **_asdt),
    'PWM': _asdt,
    'RRM': dict(
        config=_run.format('rrm', 'rrm'),
        start='classifier',
        sources=('cam', 'teacher_a', 'prediction'),
    ),
}

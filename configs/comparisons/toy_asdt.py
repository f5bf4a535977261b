# ASDT: which teacher supervises, and how often; RRM has one head and only teacher A.
# All start from the classifier of the same seed and take 240 steps.
_config = 'asdt/asdt_r18_1xb16-240_wsss-toy-voc-128.py'
_asdt = dict(config=_config, start='classifier')

baseline = 'never'
seeds = (0, 1, 2, 3, 4)
# Pseudo-labels are scored on the first 100 training images.
cfg_options = {'export_dataloader.dataset.dataset.indices': 100}
starts = dict(
    classifier=dict(
        config='cam/cam_r18_1xb16-400_wsss-toy-voc-128.py', sources=('cam',)
    )
)
sources = ('cam', 'teacher_a', 'teacher_b', 'fused')
tests = {'single scale': {}, 'single scale + CRF': dict(crf=True)}
runs = {
    'never': dict(hooks=dict(PWMDistillationHook=dict(mode='never')), **_asdt),
    'PWM': _asdt,
    'always': dict(hooks=dict(PWMDistillationHook=dict(mode='always')), **_asdt),
    'random teacher': dict(
        hooks=dict(PWMDistillationHook=dict(mode='random')), **_asdt
    ),
    'RRM': dict(
        cfg_options={'model.type': 'RRM'},
        hooks=dict(PWMDistillationHook=None),
        without=(
            'model.teacher_head',
            'model.distill_weight',
            'model.tag_filter',
            'model.crf_b',
        ),
        sources=('cam', 'teacher_a', 'prediction'),
        **_asdt,
    ),
}

# Value of the CAMs of toy_rcm_mam.py: pseudo-masks refined by a CRF, and networks
# trained on them. The same RRM training starts from each of the four classifiers, so
# only the starts differ.
_base_ = './toy_rcm_mam.py'
_rrm = dict(
    config='asdt/asdt_r18_1xb16-240_wsss-toy-voc-128.py',
    cfg_options={'model.type': 'RRM'},
    hooks=dict(PWMDistillationHook=None),
    without=(
        'model.teacher_head',
        'model.distill_weight',
        'model.tag_filter',
        'model.crf_b',
    ),
)

allow_different = ('start',)
starts = {name: dict(max_iters=240, **run) for name, run in _base_.runs.items()}
sources = ('cam', 'cam_crf', 'teacher_a')
tests = {'single scale': {}, 'single scale + CRF': dict(crf=True)}
baseline = 'on the classifier alone'
runs = {
    '_delete_': True,
    'on the classifier alone': dict(start='classifier alone', **_rrm),
    'on RCM': dict(start='RCM', **_rrm),
    'on MAM': dict(start='MAM', **_rrm),
    'on RCM + MAM': dict(start='RCM + MAM', **_rrm),
}

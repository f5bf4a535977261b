# AFA and TSCD on the tags of 205 images of voc-mini, against a decode head supervised
# by thresholded CAMs. All start from the same classifier.
_run = '{0}/{1}_mobilenet-v2_1xb8-600_wsss-voc-mini-225.py'
_afa = dict(config=_run.format('afa', 'afa'), start='classifier')
_tscd = dict(config=_run.format('tscd', 'tscd'), start='classifier')

baseline = 'CAM + segmentation'
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
sources = ('cam', 'cam_refined', 'merged', 'affinity')
tests = {'single scale': {}}
runs = {
    'CAM + segmentation': dict(
        config=_run.format('cam_seg', 'camseg'),
        start='classifier',
        sources=('cam', 'merged'),
    ),
    'AFA': _afa,
    # The walk begins with the last step, at a learning rate of 0.
    'AFA without walk': dict(hooks=dict(AffinityLabelHook=dict(begin=599)), **_afa),
    'TSCD': _tscd,
    'TSCD without SCD': dict(cfg_options={'model.loss_scd': None}, **_tscd),
}

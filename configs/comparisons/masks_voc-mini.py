# Effect of 51 masks (semi_1_4) in addition to the tags of 205 images of voc-mini: ASDT
# and AFA from the same classifier, 600 steps of 8 images, in the runs with masks 4 of
# them with masks. The tag file is created once, see
# configs/_base_/datasets/voc_mini_tags-and-masks.py. Images with masks are scaled like
# those with tags.
_scales = {
    'train_dataloader.dataset.labeled.pipeline.2.ratio_range': (0.5, 1.2),
    'train_dataloader.dataset.unlabeled.pipeline.1.ratio_range': (0.5, 1.2),
}
# The test set of these configs is the images without masks.
_val = {'test_dataloader.dataset.ann_file': 'ImageSets/Segmentation/val.txt'}
_mixed = dict(cfg_options=_scales, tests={'single scale': dict(cfg_options=_val)})
_tags = '{0}/{0}_mobilenet-v2_1xb8-600_wsss-voc-mini-225.py'
_both = '{0}/{0}_mobilenet-v2_1xb4+4-600_mixed-1-4-voc-mini-225.py'

baseline = 'ASDT, tags'
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
tests = {'single scale': {}}
allow_different = ('data', 'budget')
runs = {
    'ASDT, tags': dict(config=_tags.format('asdt'), start='classifier'),
    'ASDT, tags and masks': dict(
        config=_both.format('asdt'), start='classifier', **_mixed
    ),
    'AFA, tags': dict(config=_tags.format('afa'), start='classifier'),
    'AFA, tags and masks': dict(
        config=_both.format('afa'), start='classifier', **_mixed
    ),
}

# MKD on 10 labeled and 390 unlabeled images: its parts disabled one by one, and feature
# augmentation (ISDA) enabled. All start from the network trained on the 10 masks.
_mkd = dict(config='mkd/mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py', start='masks')
_masks = 'supervised/supervised_r18_1xb8+8-700_semi-10-toy-voc-128.py'
_schedule = [dict(type='PolyLR', power=0.9, begin=0, end=600, by_epoch=False)]
_teacher = dict(cfg_options={'model.semi_test_cfg': dict(predict_on='teacher1')})

baseline = 'MKD'
seeds = (0, 1, 2, 3, 4)
# Both make the steps faster on a CPU, see the page Benchmarks.
cfg_options = {
    'default_hooks.efficient_conv': dict(type='EfficientConvHook'),
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
starts = dict(masks=dict(config=_masks, tests={'single scale': {}}))
tests = {'single scale': {}, 'teacher': _teacher}
runs = {
    'MKD': _mkd,
    # Each student is supervised only by its own teacher, so one student is enough.
    'no mutual distillation': dict(
        without=('model.semi_train_cfg',),
        cfg_options={
            'model.type': 'MeanTeacherSegmentor',
            'model.semi_train_cfg': dict(
                unsup_weight=1.5,
                pseudo_thr=0.8,
                cutmix=dict(num_boxes=3, prop_range=(0.25, 0.5)),
            ),
        },
        tests={
            'single scale': {},
            'teacher': dict(
                cfg_options={'model.semi_test_cfg': dict(predict_on='teacher')}
            ),
        },
        **_mkd,
    ),
    'no mean teachers': dict(
        cfg_options={'model.semi_train_cfg.teacher_weight': 0.0}, **_mkd
    ),
    'no other student': dict(
        cfg_options={'model.semi_train_cfg.student_weight': 0.0}, **_mkd
    ),
    'no CutMix': dict(cfg_options={'model.semi_train_cfg.cutmix': None}, **_mkd),
    'with ISDA': dict(
        without=('model.semi_train_cfg.isda',),
        cfg_options={
            'model.semi_train_cfg.isda': dict(end_ratio=0.3),
            'model.semi_train_cfg.labels_from': 'raw',
        },
        **_mkd,
    ),
    'masks alone': dict(
        config=_masks,
        start='masks',
        max_iters=600,
        cfg_options={'param_scheduler': _schedule},
        tests={'single scale': {}},
    ),
}

# MKD's mutual distillation between students that differ from the beginning: both are
# trained on the 10 masks, each from weights of its own. In toy_mkd.py they begin equal.
_mkd = 'mkd/mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py'
_run = dict(config=_mkd, start='two students')
_teacher = dict(cfg_options={'model.semi_test_cfg': dict(predict_on='teacher1')})
_student2 = dict(cfg_options={'model.semi_test_cfg': dict(predict_on='student2')})

baseline = 'MKD'
seeds = (0, 1, 2, 3, 4)
# On a CPU the steps are faster with both, see the page Benchmarks.
cfg_options = {
    'default_hooks.efficient_conv': dict(type='EfficientConvHook'),
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
tests = {'single scale': {}, 'teacher': _teacher, 'student 2': _student2}
starts = {
    'two students': dict(
        config=_mkd,
        max_iters=700,
        cfg_options={
            'load_from': None,
            'model.semi_train_cfg.teacher_weight': 0.0,
            'model.semi_train_cfg.student_weight': 0.0,
        },
        tests=tests,
    )
}
runs = {
    'MKD': _run,
    # Each student is supervised by its own teacher alone: one student is enough.
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
        **_run,
    ),
    'no other student': dict(
        cfg_options={'model.semi_train_cfg.student_weight': 0.0}, **_run
    ),
    'masks alone': dict(
        config='supervised/supervised_r18_1xb8+8-700_semi-10-toy-voc-128.py',
        start='two students',
        max_iters=600,
        cfg_options={
            'param_scheduler': [
                dict(type='PolyLR', power=0.9, begin=0, end=600, by_epoch=False)
            ]
        },
        tests={'single scale': {}},
    ),
}

# Like toy_mkd.py, but with students that differ from the beginning: both are trained on
# the 10 masks, from different initial weights.
_base_ = './toy_mkd.py'
starts = dict(
    masks=dict(
        config='mkd/mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py',
        max_iters=700,
        cfg_options={
            'load_from': None,
            'model.semi_train_cfg.teacher_weight': 0.0,
            'model.semi_train_cfg.student_weight': 0.0,
        },
    )
)

# Cost of wrong tags: a hard filter of pseudo-labels against a margin. The tag files are
# created once, the first as in configs/_base_/datasets/voc_mini_tags-and-masks.py:
#   for part in 10 25; do python tools/misc/wrong_tags.py work_dirs/voc-mini_tags.json \
#       work_dirs/voc-mini_tags_wrong-$part.json --classes voc --ratio 0.$part; done
# Two of the runs are 'MeanTeacher' and 'MeanTeacher, tags' of
# tags_mean-teacher_voc-mini.py.
_base_ = '_base_/tags_voc-mini.py'
_run = dict(
    config='mean_teacher/mean-teacher_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py',
    start='masks',
)


def _options(file, margin):
    return {
        **_base_['_tags'],
        'train_dataloader.dataset.tags.path': f'work_dirs/{file}.json',
        'model.semi_train_cfg.tag_filter.margin': margin,
    }


_files = {
    'true tags': 'voc-mini_tags',
    '10 % wrong': 'voc-mini_tags_wrong-10',
    '25 % wrong': 'voc-mini_tags_wrong-25',
}

baseline = 'no tags'
runs = {
    'no tags': dict(cfg_options=_base_['_one_batch'], **_run),
    **{
        f'{name}, {kind}': dict(
            cfg_options=_options(file, margin), tests=_base_['_filtered'], **_run
        )
        for name, file in _files.items()
        for kind, margin in (('hard', None), ('margin', 2.0))
    },
}

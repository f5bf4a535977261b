# What tags add to MKD.
_base_ = '_base_/tags_voc-mini.py'
_run = dict(
    config='mkd/mkd_mobilenet-v2_1xb4+4-900_semi-1-4-voc-mini-225.py', start='masks'
)

runs = {
    'masks alone': _base_['_masks_alone'],
    **{
        f'MKD{name}': dict(**options, **_run)
        for name, options in _base_['_options'].items()
    },
}

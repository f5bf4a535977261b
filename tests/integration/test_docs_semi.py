"""The page of methods knows every setting of the semi-supervised ones."""

import ast

from test_docs import rows

import mmseg_wsss.models.segmentors as segmentors
from mmseg_wsss.models.segmentors import SemiBaseSegmentor

KINDS = [
    kind
    for kind in (getattr(segmentors, name) for name in segmentors.__all__)
    if issubclass(kind, SemiBaseSegmentor)
]


def test_the_table_of_settings_has_names_and_defaults_of_the_code():
    table = {
        cells[0].strip('`'): cells[1]
        for cells in rows('docs/methods.md', 'Settings of semi_train_cfg')
    }
    assert set(table) == {name for kind in KINDS for name in kind.defaults}
    checked = 0
    for name, text in table.items():
        try:
            value = ast.literal_eval(text.split(';')[0].strip('`'))
        except (SyntaxError, ValueError):
            continue  # words
        found = {kind.defaults[name] for kind in KINDS if name in kind.defaults}
        assert value in found, name
        checked += 1
    assert checked >= 14

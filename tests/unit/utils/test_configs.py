import pytest
from mmengine.config import Config, ConfigDict

from mmseg_wsss.utils.configs import config_path, require, walk, walk_dicts


def test_walk_yields_outer_parts_first_with_their_paths():
    node = {'a': [1, ({'b': None},)], 'c': 'text'}
    assert list(walk(node, 'root')) == [
        ('root', node),
        ('root.a', node['a']),
        ('root.a.0', 1),
        ('root.a.1', node['a'][1]),
        ('root.a.1.0', {'b': None}),
        ('root.a.1.0.b', None),
        ('root.c', 'text'),
    ]


@pytest.mark.parametrize('leaf', [3, None, 'text', {1, 2}])
def test_a_leaf_is_its_only_part(leaf):
    assert list(walk(leaf)) == [('', leaf)]
    assert list(walk_dicts(leaf)) == []


def test_dictionaries_can_be_changed_while_they_are_walked():
    node = ConfigDict(type='A', parts=[dict(type='B'), dict(type='A')])
    for part in walk_dicts(node):
        if part.type == 'A':
            part.seen = True
    assert node.seen
    assert [part.get('seen') for part in node.parts] == [None, True]


@pytest.mark.parametrize(
    ('key', 'missing'), [('a.b', None), ('a.c', 'a.c'), ('a.d', 'a.d'), ('e.f', 'e.f')]
)
def test_a_missing_setting_is_named(key, missing, tmp_path):
    path = tmp_path / 'x.py'
    path.write_text('a = dict(b=0, c=None)\ne = None\n')
    cfg = Config.fromfile(path)
    if missing is None:
        require(cfg, key)
        return
    with pytest.raises(ValueError, match=rf'x\.py: expected {missing}, found none$'):
        require(cfg, 'a.b', key)


def test_configs_of_an_editable_installation_have_their_own_path():
    assert '.mim' not in config_path('asdt')

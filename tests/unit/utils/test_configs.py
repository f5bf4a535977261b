import pytest
from mmengine.config import ConfigDict

from mmseg_wsss.utils.configs import walk, walk_dicts


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

"""Lines under the table of a comparison."""

import pytest

from mmseg_wsss.pipelines.compare_notes import notes_on_starts, notes_on_versions


def run(name: str, seed: int, network: str | None, start: str | None = 'cam') -> dict:
    digest = {} if network is None else {'start_network': network}
    return {'name': name, 'seed': seed, 'start': start, **digest}


BASE = [run('base', 0, 'a'), run('base', 1, 'b'), run('cam', 0, None, None)]


@pytest.mark.parametrize(
    ('others', 'expected'),
    [
        ([run('x', 0, 'a'), run('x', 1, 'b')], []),
        (
            [run('x', 0, 'b'), run('x', 1, 'b'), run('y', 1, 'a')],
            ['Start differs from base of the same seed: x (seed 0), y.'],
        ),
        (
            [run('x', 0, None), run('x', 1, None), run('y', 0, None), run('y', 1, 'b')],
            ['Start not recorded: x, y (seed 0).'],
        ),
        # On another start by intent, and of a seed without baseline.
        ([run('x', 0, 'c', 'other'), run('x', 2, 'c')], []),
    ],
)
def test_runs_with_another_start_are_named(others, expected):
    assert notes_on_starts([*BASE, *others], 'base') == expected


def test_starts_of_an_earlier_report_are_not_recorded():
    earlier = [run('base', 0, None), run('x', 0, None), run('cam', 0, None, None)]
    assert notes_on_starts(earlier, 'base') == ['Start not recorded: all runs.']
    (note,) = notes_on_starts([run('base', 0, None), run('x', 0, 'a')], 'base')
    assert note == 'Start not recorded: base.'


def test_versions_that_differ_are_named():
    old, new = ({'torch': f'2.{i}', 'python': '3.11'} for i in (1, 2))
    earlier = {'versions': None}
    assert notes_on_versions([{'versions': old}, earlier, {}]) == []
    new['commit'], old['commit'] = f'{"b" * 40}-dirty', 'a' * 40
    (note,) = notes_on_versions([{'versions': new}, {'versions': old}])
    commits = f'commit {"a" * 12} and {"b" * 12}-dirty'
    assert note == f'Versions differ: torch 2.1 and 2.2; {commits}.'

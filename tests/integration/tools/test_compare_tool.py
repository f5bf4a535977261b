"""The command line of ``tools/misc/compare.py``."""

import sys

import pytest

REPORT = {'comparison': 'x', 'failed': {}}


@pytest.fixture
def call(tool, monkeypatch):
    """Call the tool, whose comparison returns a report; return its arguments."""

    def call(words, report):
        module, calls = tool('misc/compare'), []
        monkeypatch.setattr(
            module, 'compare', lambda *args: calls.append(args) or report
        )
        monkeypatch.setattr(module, 'table_of', lambda report: 'the table')
        monkeypatch.setattr(module.signal, 'signal', lambda *args: None)
        monkeypatch.setattr(sys, 'argv', ['compare.py', *words.split()])
        module.main()
        return calls[0]

    return call


def test_options_reach_the_comparison(call, capsys):
    expected = ('f.py', 'work_dirs/comparisons', None, [], None, [], None)
    assert call('f.py', REPORT) == expected
    shown = capsys.readouterr().out
    assert shown == 'the table\nresults: work_dirs/comparisons/x.json, .md, .svg\n'
    words = 'f.py --out o --jobs 2 --allow-different data start --seeds 3 4'
    words += ' --reuse a.json b.json --runs one'
    expected = ('f.py', 'o', 2, ['data', 'start'], [3, 4], ['a.json', 'b.json'])
    assert call(words, REPORT) == (*expected, ['one'])


def test_a_failed_run_is_an_error(call):
    with pytest.raises(SystemExit) as error:
        call('f.py', {**REPORT, 'failed': {'one, seed 0': 'a reason'}})
    assert error.value.code == 1

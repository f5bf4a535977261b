"""tools/misc/wrong_tags.py replaces tags."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from mmseg_wsss.datasets.tags import ImageTags

TOOL = Path(__file__).resolve().parents[3] / 'tools/misc/wrong_tags.py'
CLASSES = ('cat', 'dog', 'cow', 'bus')


@pytest.fixture(scope='module')
def tags() -> ImageTags:
    return ImageTags({f'{i}': [i % 4, (i + 1) % 4] for i in range(50)}, CLASSES)


def numbers(tags: ImageTags) -> list[set[str]]:
    return [set(tags.labels(name)) for name in tags.names]


@pytest.mark.parametrize('ratio', [0.0, 0.1, 0.25, 1.0])
def test_a_ratio_of_the_tags_is_wrong(tags, ratio):
    change = runpy.run_path(str(TOOL))['with_wrong_tags']
    true, wrong = numbers(tags), numbers(change(tags, ratio))
    assert [len(row) for row in wrong] == [2] * 50
    assert sum(len(a - b) for a, b in zip(wrong, true)) == round(ratio * 100)
    assert numbers(change(tags, ratio, seed=0)) == wrong
    if 0 < ratio < 1:
        assert numbers(change(tags, ratio, seed=1)) != wrong


def test_the_tool_writes_a_tag_file(tags, tmp_path, monkeypatch, capsys):
    path = tmp_path / 'tags.json'
    tags.save(path)
    words = [path, tmp_path / 'out.json', '--classes', ','.join(CLASSES)]
    words += ['--ratio', '0.5']
    monkeypatch.setattr(sys, 'argv', ['wrong_tags.py', *map(str, words)])
    runpy.run_path(str(TOOL), run_name='__main__')
    found = json.loads((tmp_path / 'out.json').read_text())
    assert found.keys() == set(tags.names)
    assert '50 images' in capsys.readouterr().out


def test_the_true_tags_are_kept(tags, tmp_path, monkeypatch, capsys):
    path = tmp_path / 'tags.json'
    tags.save(path)
    before = path.read_bytes()
    words = [path, path, '--classes', ','.join(CLASSES), '--ratio', '0.5']
    monkeypatch.setattr(sys, 'argv', ['wrong_tags.py', *map(str, words)])
    with pytest.raises(SystemExit):
        runpy.run_path(str(TOOL), run_name='__main__')
    assert 'would replace the true tags' in capsys.readouterr().err
    assert path.read_bytes() == before


def test_what_cannot_be_done_is_said(tags):
    change = runpy.run_path(str(TOOL))['with_wrong_tags']
    with pytest.raises(ValueError, match=r'ratio must be in \[0, 1\], got 10'):
        change(tags, 10)
    full = ImageTags({'a': [0, 1, 2, 3]}, CLASSES)
    with pytest.raises(ValueError, match='a has no class left to add'):
        change(full, 0.5)

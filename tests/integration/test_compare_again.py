"""When a run of a comparison is trained again, and when not."""

import json
from pathlib import Path

import pytest
import torch
from helpers.comparisons import ALONE, do, finished, weights, write, write_configs
from mmengine.config import Config

from mmseg_wsss.pipelines import measure
from mmseg_wsss.pipelines.comparison import read_comparison


@pytest.fixture
def folder(tiny_voc, tmp_path) -> Path:
    return write_configs(tiny_voc, tmp_path)


@pytest.mark.parametrize('record', ['new', 'earlier', 'interrupted'])
def test_another_start_is_another_training(folder, record):
    """The result never names a start that the network did not begin with."""
    path = write(folder)
    start, first = do(path, 'classifier'), do(path, 'plain')
    before = weights(first)
    checkpoint = Path(start['folder'], 'iter_2.pth')
    content = torch.load(checkpoint, weights_only=False)
    for value in content['state_dict'].values():
        value.mul_(2)
    torch.save(content, checkpoint)
    measured = Path(first['folder'], 'measure.json')
    stored = json.loads(measured.read_text())
    assert stored['inputs']['start'] == first['start_network'] == start['network']
    if record != 'new':
        del stored['inputs' if record == 'earlier' else 'trained']
        measured.write_text(json.dumps(stored))
    again = do(path, 'plain')
    assert again['start_network'] != first['start_network']
    assert any(not torch.equal(before[k], v) for k, v in weights(again).items())
    assert do(path, 'plain') == again


def test_the_name_of_the_folder_has_no_part_in_a_training(folder, monkeypatch):
    path = write(folder)
    monkeypatch.chdir(folder)
    do(path, 'classifier', root='out/runs')
    first = do(path, 'plain', root='out/runs')
    measured = folder / first['folder'] / 'measure.json'

    def refuse(cfg):
        raise AssertionError('trained again')

    monkeypatch.setattr(measure, '_train', refuse)
    comparison = read_comparison(path)
    cfg = comparison.config(comparison.runs['plain'], 0, 'out/runs')
    earlier = measure.digest_of(cfg)
    folder.joinpath('out').rename(folder / 'moved')
    measured = folder / 'moved' / measured.relative_to(folder / 'out')
    moved = do(path, 'plain', root=str(folder / 'moved/runs'))
    assert moved == first | {'folder': moved['folder']}
    # Earlier versions took the digest of the path.
    folder.joinpath('moved').rename(folder / 'out')
    measured = folder / first['folder'] / 'measure.json'
    record = json.loads(measured.read_text())
    assert record['digest'] != earlier
    measured.write_text(json.dumps(record | {'digest': earlier}))
    assert do(path, 'plain', root='out/runs') == first


def test_other_tags_are_another_training(folder):
    """A tag file at the same path may be another one; records without it stay."""
    cfg = Config.fromfile(folder / 'cam.py')
    tags, root = folder / 'tags.json', str(folder / 'out/runs')
    tags.write_text(Path(cfg.train_dataloader.dataset.tags.path).read_text())
    cfg.train_dataloader.dataset.tags.path = str(tags)
    cfg.dump(folder / 'cam.py')
    path = folder / 'alone.py'
    path.write_text(ALONE)
    first = do(path, 'alone')
    assert set(first['files']) == {
        f'{part}_dataloader.dataset.{file}'
        for part in ('train', 'export')
        for file in ('tags.path', 'dataset.ann_file')
    }
    content = json.loads(tags.read_text())
    tags.write_text(json.dumps({name: ['green'] for name in content}))
    assert finished(path, 'alone', root) is None
    record = Path(first['folder'], 'run.json')
    record.write_text(json.dumps({k: v for k, v in first.items() if k != 'files'}))
    assert finished(path, 'alone', root)
    again = do(path, 'alone')
    assert again['network'] != first['network']
    assert finished(path, 'alone', root) == again
    tags.unlink()
    assert finished(path, 'alone', root) == again


def test_a_lost_start_is_trained_again(folder):
    path = write(folder)
    start = do(path, 'classifier')
    Path(start['folder'], 'iter_2.pth').unlink()
    again = do(path, 'classifier')
    assert again['network'] == start['network']
    assert weights(again)

"""Which files a run of a comparison depends on."""

import pytest
from mmengine.config import Config

from mmseg_wsss.pipelines.comparison import Run
from mmseg_wsss.pipelines.run_inputs import file_digests
from mmseg_wsss.utils import sha256_of

WANTED = {
    'sources': [],
    'tests': {'t': {'cfg_options': {'test_dataloader.dataset.ann_file': 'other.txt'}}},
}


@pytest.fixture
def config(tmp_path):
    for name in ('a/split/labeled', 'b/split/unlabeled', 'a/val', 'b/other', 'weights'):
        path = tmp_path / f'{name}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    a, b = ({'data_root': str(tmp_path / name), 'pipeline': []} for name in 'ab')
    train = {'split': 'split', 'labeled': a, 'unlabeled': b}
    weights = str(tmp_path / 'weights.txt')
    init = {'type': 'Pretrained', 'checkpoint': weights}
    cfg = {
        'train_cfg': {'max_iters': 2},
        'default_hooks': {'checkpoint': {}},
        'train_dataloader': {'dataset': train},
        'test_dataloader': {'dataset': {**b, 'ann_file': 'val.txt'}},
        'model': {'stages': [{'init_cfg': init}]},
        'load_from': weights,
    }
    Config(cfg).dump(tmp_path / 'config.py')
    return tmp_path


def test_files_have_the_root_of_their_part(config):
    found = file_digests(Run('x', str(config / 'config.py')), WANTED)
    files = {
        'train_dataloader.dataset.labeled.ann_file': 'a/split/labeled.txt',
        'train_dataloader.dataset.unlabeled.ann_file': 'b/split/unlabeled.txt',
        'val/t.ann_file': 'b/other.txt',
        'model.stages.0.init_cfg.checkpoint': 'weights.txt',
        'load_from': 'weights.txt',
    }
    assert found == {key: sha256_of(config / name) for key, name in files.items()}
    with_start = file_digests(Run('x', str(config / 'config.py'), start='s'), WANTED)
    assert with_start == {k: v for k, v in found.items() if k != 'load_from'}


def test_a_file_is_read_again_when_it_changes(config):
    run = Run('x', str(config / 'config.py'))
    before = file_digests(run, WANTED)
    (config / 'b/other.txt').write_text('changed')
    after = file_digests(run, WANTED)
    assert before.items() - after.items() == {
        ('val/t.ann_file', before['val/t.ann_file'])
    }

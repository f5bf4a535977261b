"""Which files a run of a comparison depends on."""

import os

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.pipelines.comparison import Run
from mmseg_wsss.pipelines.run_inputs import MASKS, file_digests
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


@pytest.mark.parametrize('kind', ['semi', 'plain', 'unlabeled'])
def test_corrected_training_masks_count(config, kind):
    """They count by their pixels, and masks that no training reads do not count."""
    path = config / 'masks/1.png'
    for folder in ('images', 'masks'):
        (config / folder).mkdir()
        for name in '01':
            pixels = np.zeros((2, 2), np.uint8)
            Image.fromarray(pixels).save(config / f'{folder}/{name}.png')
    load = [{'type': 'LoadImageStrict'}]
    masks = [*load, {'type': 'LoadAnnotationsStrict'}]
    part = {
        'type': 'BaseSegDataset',
        'data_root': str(config),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
        'img_suffix': '.png',
        'metainfo': {'classes': ('background', 'cat')},
        'pipeline': load if kind == 'unlabeled' else masks,
    }
    semi = {'type': 'SemiDataset', 'labeled': part, 'unlabeled': part}
    cfg = Config.fromfile(config / 'config.py')
    cfg.train_dataloader.dataset = semi if kind == 'semi' else part
    cfg.dump(config / 'config.py')
    run, wanted = Run('x', str(config / 'config.py')), {'sources': [], 'tests': {}}

    def digest() -> str | None:
        state = os.stat(path)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
        return file_digests(run, wanted).get(MASKS)

    before = digest()
    assert (before is None) == (kind == 'unlabeled')
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(path, compress_level=0)
    assert digest() == before
    Image.fromarray(np.ones((2, 2), np.uint8)).save(path)
    assert (digest() == before) == (kind == 'unlabeled')
    path.rename(config / 'masks/gone.png')
    (config / 'images').rename(config / 'moved')  # on a machine without the data
    assert MASKS not in file_digests(run, wanted)

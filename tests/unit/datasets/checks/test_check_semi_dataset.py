"""The data check of datasets with unlabeled images."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.datasets.checks.check_splits import check_splits
from mmseg_wsss.datasets.checks.from_config import splits_from_config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Three images with masks, two of them listed as unlabeled."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    for name in 'abc':
        img = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(img).save(tmp_path / f'images/{name}.png')
        Image.fromarray(img[..., 0] % 21).save(tmp_path / f'masks/{name}.png')
    split = tmp_path / 'mine_1'
    split.mkdir()
    (split / 'labeled.txt').write_text('a\n')
    (split / 'unlabeled.txt').write_text('b\nc\n')
    part = {
        'type': 'PascalVOCDataset',
        'data_root': str(tmp_path),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
        'img_suffix': '.png',
    }
    data = {
        'type': 'SemiDataset',
        'labeled': part | {'ann_file': 'mine_1/labeled.txt'},
        'unlabeled': part | {'ann_file': 'mine_1/unlabeled.txt'},
    }
    return Config({'train_dataloader': {'dataset': data}})


def test_masks_of_the_unlabeled_part_are_not_checked(config, tmp_path):
    (tmp_path / 'masks/b.png').write_bytes(b'broken')
    (tmp_path / 'masks/c.png').unlink()
    splits, findings = splits_from_config(config)
    assert findings == []
    report = check_splits(splits)
    assert report.findings == []
    assert (report.images, report.masks) == ({'train': 3}, {'train': 1})
    (tmp_path / 'masks/a.png').unlink()
    (found,) = check_splits(splits).findings
    assert found.location.endswith('masks/a.png')


def test_image_folder_as_unlabeled_part(config, tmp_path):
    (tmp_path / 'images/c.png').write_bytes(b'broken')
    config.train_dataloader.dataset.unlabeled = {
        'type': 'ImageFolder',
        'data_root': str(tmp_path / 'images'),
    }
    splits, findings = splits_from_config(config)
    assert findings == []
    (found,) = check_splits(splits).findings
    assert found.location.endswith('images/c.png')


def test_folder_with_the_name_of_a_published_split_is_checked(config, tmp_path):
    folder = tmp_path / 'voc-classic_92'
    (tmp_path / 'mine_1').rename(folder)
    for part in ('labeled', 'unlabeled'):
        data = config.train_dataloader.dataset[part]
        data.ann_file = data.ann_file.replace('mine_1', 'voc-classic_92')
    _, findings = splits_from_config(config)
    (found,) = findings
    assert found.kind == 'wrong split'
    assert found.location == str(folder / 'labeled.txt')
    assert 'voc-classic_92' in found.message


def test_lists_of_a_published_split_are_accepted(config, tmp_path, shared):
    folder = tmp_path / 'voc-classic_92'
    (tmp_path / 'mine_1').rename(folder)
    listed = shared / 'data/splits/voc/classic_92/labeled.txt'
    (folder / 'labeled.txt').write_text(listed.read_text())
    for part in ('labeled', 'unlabeled'):
        data = config.train_dataloader.dataset[part]
        data.ann_file = data.ann_file.replace('mine_1', 'voc-classic_92')
    assert splits_from_config(config)[1] == []

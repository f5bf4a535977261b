"""Wrappers of mmseg and MMEngine around the datasets of both parts."""

from copy import deepcopy
from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import ConcatDataset
from mmseg.datasets import MultiImageMixDataset
from own_datasets import (
    CLASSES,
    LABELED,
    UNLABELED,
    WEAK,
    Remapping,
    config,
    draw,
    semi,
    write_images,
)
from PIL import Image

from mmseg_wsss.datasets import ImageTags, SemiDataset, WeakDataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path)


@pytest.mark.parametrize('nested', [False, True])
def test_wrappers_of_both_parts(folder, nested):
    """Nested wrappers with indices deliver the samples of their datasets."""

    def wrapped(pipeline: list) -> dict:
        first = config(folder, Remapping, pipeline, indices=[2])
        second = config(folder, Remapping, pipeline, indices=[0, 3])
        if nested:
            second = {'type': 'RepeatDataset', 'dataset': second, 'times': 2}
        concat = {'type': 'ConcatDataset', 'datasets': [first, second]}
        return {'type': 'RepeatDataset', 'dataset': concat, 'times': 2}

    dataset = SemiDataset(wrapped(LABELED), wrapped(UNLABELED))
    order = [2, 0, 3, 0, 3] if nested else [2, 0, 3]
    names = [
        Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))
    ]
    assert names == [str(i) for i in order * 4]
    plain = semi(folder, Remapping)
    for index in range(len(order)):
        found = dataset[draw(index, 7)]
        expected = plain[draw(order[index], 7)]
        assert torch.equal(found['inputs']['sup'], expected['inputs']['sup'])
        labels = found['data_samples']['sup'].gt_sem_seg.data
        assert torch.equal(labels, expected['data_samples']['sup'].gt_sem_seg.data)


def test_other_wrappers_are_refused_by_name(folder):
    inner = ConcatDataset([config(folder, Remapping, LABELED)])
    mixed = MultiImageMixDataset(inner, [{'type': 'RandomMosaic', 'prob': 1}])
    with pytest.raises(TypeError, match='cannot wrap MultiImageMixDataset'):
        SemiDataset(mixed, config(folder, Remapping, UNLABELED))
    weak = WeakDataset(
        config(folder, Remapping, []),
        WEAK,
        ImageTags({str(i): [0] for i in range(4)}, CLASSES),
    )
    with pytest.raises(TypeError, match='cannot wrap WeakDataset'):
        SemiDataset(config(folder, Remapping, LABELED), weak)


def test_concatenated_datasets_ignore_one_value(folder):
    def concat(pipeline: list) -> dict:
        parts = [
            config(folder, Remapping, pipeline, ignore_index=value)
            for value in (255, 254)
        ]
        return {'type': 'ConcatDataset', 'datasets': parts}

    plain = config(folder, Remapping, LABELED)
    message = 'have ignore_index=254 and 255: .* set ignore_index=255'
    with pytest.raises(ValueError, match=message):
        SemiDataset(concat(LABELED), config(folder, Remapping, UNLABELED))
    with pytest.raises(ValueError, match=message):
        WeakDataset(concat([]), WEAK, {'source': 'masks'})
    assert len(SemiDataset(plain, concat(UNLABELED))) == 12  # no masks are read


class OwnConcat(ConcatDataset):
    def __getitem__(self, idx):
        sample = super().__getitem__(idx)
        sample['inputs'] = sample['inputs'] * 0
        return sample


def test_a_subclass_of_a_wrapper_is_respected(folder):
    parts = [config(folder, 'BaseSegDataset', p) for p in (LABELED, UNLABELED)]
    for part in parts:
        part['metainfo'] = {'classes': [str(i) for i in range(9)]}
    dataset = SemiDataset(OwnConcat(parts[:1]), OwnConcat(parts[1:]))
    assert dataset[0]['inputs']['sup'].abs().sum() == 0
    assert dataset[5]['inputs']['unsup_strong'].abs().sum() == 0


def test_augmented_voc_config_of_mmseg(tmp_path):
    """``pascal_voc12_aug.py`` concatenates two folders of masks."""
    configs = Path(mmseg.__file__).parent / '.mim/configs'
    path = configs / '_base_/datasets/pascal_voc12_aug.py'
    if not path.is_file():
        pytest.skip('mmseg was installed without its configs')
    cfg = Config.fromfile(path).train_dataloader.dataset
    assert cfg.type == 'ConcatDataset'
    lists = tmp_path / 'ImageSets/Segmentation'
    lists.mkdir(parents=True)
    (tmp_path / 'JPEGImages').mkdir()
    for part, names in zip(cfg.datasets, (['a', 'b'], ['c']), strict=True):
        part.data_root = str(tmp_path)
        (tmp_path / part.ann_file).write_text('\n'.join(names) + '\n')
        masks = tmp_path / part.data_prefix.seg_map_path
        masks.mkdir()
        for index, name in enumerate(names, 1):
            Image.new('RGB', (20, 16)).save(tmp_path / f'JPEGImages/{name}.jpg')
            Image.new('L', (20, 16), index).save(masks / f'{name}.png')
    weak = WeakDataset(cfg, WEAK, {'source': 'masks'})
    names = [weak.tags.labels(name) for name in 'abc']
    assert names == [['aeroplane'], ['bicycle'], ['aeroplane']]
    assert 'gt_sem_seg' not in weak[0]['data_samples']
    unlabeled = deepcopy(cfg)
    for part in unlabeled.datasets:
        part.pipeline = UNLABELED
    for part in cfg.datasets:
        part.pipeline = LABELED
    dataset = SemiDataset(cfg, unlabeled)
    assert dataset.cumulative_sizes == [3, 6]
    sup = [dataset[i]['data_samples']['sup'] for i in range(3)]
    assert [s.gt_sem_seg.data.unique().item() for s in sup] == [1, 2, 1]
    assert dataset[5]['data_samples']['unsup_weak'].img_path.endswith('c.jpg')

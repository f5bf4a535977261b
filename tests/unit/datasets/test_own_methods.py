"""Methods of the datasets of other projects are respected."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from own_datasets import (
    CLASSES,
    FLIP,
    LABELED,
    LOAD,
    MASK,
    PACK,
    UNLABELED,
    VIEWS,
    WEAK,
    LooksAtMasks,
    LooksPolitely,
    Mixing,
    OpensMasks,
    Preparing,
    RandomNoise,
    Redirecting,
    Remapping,
    ReturnsTuple,
    WithoutPipeline,
    config,
    draw,
    semi,
    write_images,
)
from PIL import Image

from mmseg_wsss.datasets import ImageTags, SemiDataset, WeakDataset
from mmseg_wsss.registry import DATASETS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path)


@pytest.mark.parametrize('kind', [Remapping, Preparing, RandomNoise])
def test_labels_are_those_of_the_dataset(folder, kind):
    dataset = semi(folder, kind)
    for number in range(4):
        view = dataset[draw(1, number)]['data_samples']['sup']
        assert view.gt_sem_seg.data.unique().tolist() == [0, 1, 2]


def test_the_whole_sample_is_that_of_the_dataset(folder):
    """The image is inverted in every view."""
    dataset = semi(folder, Remapping)
    for number in range(6):
        inputs = dataset[draw(5, number)]['inputs']
        assert inputs['sup'] is None
        assert inputs['unsup_weak'][2].float().mean() == 255 - 9 * 10 / 2 + 5
        assert inputs['unsup_weak'].shape == inputs['unsup_strong'].shape


def test_unlabeled_views_have_no_labels_and_no_path(folder):
    for kind in (Remapping, Preparing, Mixing):
        dataset = semi(folder, kind)
        for path in (folder / 'masks').iterdir():
            path.rename(path.with_suffix('.hidden'))
        views = dataset[draw(4)]['data_samples']
        for path in (folder / 'masks').iterdir():
            path.rename(path.with_suffix('.png'))
        for name in VIEWS:
            assert 'gt_sem_seg' not in views[name]
            assert 'seg_map_path' not in views[name].metainfo
    inner = semi(folder, Preparing).unlabeled.inner.dataset
    assert 'seg_map_path' not in inner.get_data_info(0)
    assert 'seg_map_path' not in inner.data_prefix


def test_random_numbers_of_the_dataset_are_equal_for_all_views(folder):
    """The views stay aligned, and depend on the key only."""
    plain = [{'type': 'SemiMultiBranch', 'unsup_weak': [PACK], 'unsup_strong': [PACK]}]
    for kind in (RandomNoise, Mixing):
        dataset = SemiDataset(
            config(folder, kind, LABELED), config(folder, kind, [LOAD, FLIP, *plain])
        )
        found = []
        for number in range(8):
            np.random.seed(number)
            inputs = dataset[draw(5, number)]['inputs']
            assert torch.equal(inputs['unsup_weak'], inputs['unsup_strong'])
            assert torch.equal(
                dataset[draw(5, number)]['inputs']['unsup_weak'], inputs['unsup_weak']
            )
            found.append(inputs['unsup_weak'])
        assert any(not torch.equal(found[0], other) for other in found)


def test_a_changed_path_is_loaded_and_named(folder):
    (folder / 'elsewhere').mkdir()
    Image.new('RGB', (5, 6), (9, 9, 9)).save(folder / 'elsewhere/0.png')
    data = semi(folder, Redirecting)
    assert data.get_data_info(4)['img_path'].endswith('elsewhere/0.png')
    assert data[draw(4)]['inputs']['unsup_weak'].shape == (3, 6, 5)
    with pytest.raises(FileNotFoundError, match=r'elsewhere/1\.png'):
        data[draw(5)]


def test_a_dataset_without_its_pipeline_is_refused_by_name(folder):
    with pytest.raises(TypeError, match=r'WithoutPipeline.*not run self\.pipeline'):
        semi(folder, WithoutPipeline)[0]


def test_a_dataset_that_opens_masks_is_refused_by_name(folder):
    dataset = SemiDataset(
        config(folder, Remapping, LABELED), config(folder, OpensMasks, UNLABELED)
    )
    with pytest.raises(
        RuntimeError, match=r"0\.png: OpensMasks.*hidden mask.*'seg_map_path'"
    ):
        dataset[4]


def test_information_of_hidden_masks_is_not_read(folder):
    for path in (folder / 'masks').iterdir():
        path.write_bytes(b'')
    with pytest.raises(RuntimeError, match=r'LooksAtMasks\.get_data_info needs seg'):
        WeakDataset(config(folder, LooksAtMasks, []), WEAK, {'path': 'none.csv'})
    for serialize in (False, True):
        inner = config(folder, LooksPolitely, [], serialize_data=serialize)
        tags = ImageTags({str(i): [0] for i in range(4)}, CLASSES)
        dataset = WeakDataset(inner, WEAK, tags)
        assert dataset.get_data_info(3)['has_mask'] is False
        assert dataset[3]['data_samples'].img_path.endswith('3.png')


def test_a_sample_of_another_type_is_named(folder):
    with pytest.raises(TypeError, match=r'ReturnsTuple.* expected a dict .*got tuple'):
        semi(folder, ReturnsTuple)[0]


def test_weak_dataset_respects_methods_and_derives_tags_from_samples(folder):
    """Two classes occur once remapped; the raw labels are outside the range."""
    mask = Image.fromarray(np.full((9, 12), 8, np.uint8))
    mask.save(folder / 'masks/3.png')
    tags = {'source': 'masks'}
    dataset = WeakDataset(config(folder, Remapping, []), WEAK, tags)
    assert dataset.tags.classes == CLASSES
    assert [dataset.tags.labels(str(i)) for i in (0, 3)] == [list(CLASSES), ['dog']]
    sample = dataset[draw(3)]
    assert 'gt_sem_seg' not in sample['data_samples']
    assert sample['data_samples'].gt_tags.label.tolist() == [0, 0, 1]
    assert sample['inputs'][0].unique().tolist() == [252]
    evaluation = [LOAD, MASK, WEAK[-1]]
    dataset = WeakDataset(config(folder, Remapping, []), evaluation, tags, True)
    assert dataset[0]['data_samples'].gt_sem_seg.data.unique().tolist() == [0, 1, 2]


def test_tags_from_masks_of_a_subset_of_the_classes(folder):
    classes = ('aeroplane', 'bicycle')
    (folder / 'list.txt').write_text('0\n1\n2\n3\n')
    voc = config(folder, 'PascalVOCDataset', [], metainfo={'classes': classes})
    voc['ann_file'] = 'list.txt'
    rows = np.full((9, 12), 2, np.uint8)
    Image.fromarray(rows).save(folder / 'masks/3.png')
    dataset = WeakDataset(voc, WEAK, {'source': 'masks'})
    assert [dataset.tags.labels(str(i)) for i in (0, 3)] == [list(classes), ['bicycle']]


def test_workers_get_the_same_samples(folder):
    first = semi(folder, Remapping)
    second = pickle.loads(pickle.dumps(first))
    a, b = (d[draw(5, 3)]['inputs']['unsup_strong'] for d in (first, second))
    assert torch.equal(a, b)


def test_wrapping_leaves_the_dataset_as_it_was(folder):
    inner = DATASETS.build(config(folder, Remapping, [*LABELED[:3], PACK]))
    tags = ImageTags({str(i): [0] for i in range(4)}, CLASSES)
    WeakDataset(inner, WEAK, tags)[0]
    assert inner[0]['data_samples'].gt_sem_seg.data.unique().tolist() == [0, 1, 2]
    assert 'seg_map_path' in inner.get_data_info(0)

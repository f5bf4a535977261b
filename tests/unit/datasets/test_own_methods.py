"""Datasets of other projects: their wrappers and their own methods."""

import pickle
from copy import deepcopy
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import ConcatDataset
from mmengine.structures import PixelData
from mmseg.datasets import BaseSegDataset, MultiImageMixDataset
from PIL import Image

from mmseg_wsss.datasets import ImageTags, SemiDataset, WeakDataset
from mmseg_wsss.datasets.sample_key import SampleKey
from mmseg_wsss.registry import DATASETS

LOAD, MASK = {'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}
FLIP = {'type': 'RandomFlip', 'prob': 0.5}
PACK = {'type': 'PackSegInputs'}
VIEWS = {'unsup_weak': [PACK], 'unsup_strong': [{'type': 'SemiColorJitter'}, PACK]}
LABELED = [LOAD, MASK, FLIP, {'type': 'SemiMultiBranch', 'sup': [PACK]}]
UNLABELED = [LOAD, FLIP, {'type': 'SemiMultiBranch', **VIEWS}]
WEAK = [LOAD, FLIP, {'type': 'PackWeakInputs'}]
CLASSES = ('ground', 'cat', 'dog')


class Remapping(BaseSegDataset):
    """Labels 0 to 8 in the files, 0 to 2 in the samples; inverts the image."""

    METAINFO = {'classes': CLASSES}

    def __getitem__(self, idx):
        sample = super().__getitem__(idx)
        seg = sample['data_samples'].gt_sem_seg.data
        seg[seg != 255] //= 3
        sample['inputs'] = 255 - sample['inputs']
        return sample


class Preparing(BaseSegDataset):
    METAINFO = {'classes': CLASSES}

    def prepare_data(self, idx):
        info = self.get_data_info(idx)
        self.seen = dict(info)
        sample = self.pipeline(info)
        gt = sample['data_samples'].gt_sem_seg
        sample['data_samples'].gt_sem_seg = PixelData(data=gt.data.clamp(max=2))
        return sample


class Redirecting(BaseSegDataset):
    """Information of another file, as for images stored elsewhere."""

    METAINFO = {'classes': CLASSES}

    def get_data_info(self, idx):
        info = super().get_data_info(idx)
        info['img_path'] = info['img_path'].replace('images', 'elsewhere')
        return info


class RandomNoise(Remapping):
    def __getitem__(self, idx):
        sample = super().__getitem__(idx)
        if np.random.rand() < 0.5:
            sample['inputs'] = sample['inputs'].flip(-1)
        return sample


class Mixing(Remapping):
    """Averages two images, chosen at random."""

    def __getitem__(self, idx):
        first = super().__getitem__(idx)
        other = super().__getitem__(np.random.randint(len(self)))
        first['inputs'] = (first['inputs'] // 2) + (other['inputs'] // 2)
        return first


class WithoutPipeline(BaseSegDataset):
    METAINFO = {'classes': CLASSES}

    def __getitem__(self, idx):
        return {'inputs': torch.zeros(3, 4, 4), 'data_samples': None}


class OpensMasks(BaseSegDataset):
    METAINFO = {'classes': CLASSES}

    def prepare_data(self, idx):
        info = self.get_data_info(idx)
        sample = self.pipeline(info)
        mask = np.asarray(Image.open(info['seg_map_path']))
        sample['data_samples'].gt_sem_seg = PixelData(data=torch.tensor(mask)[None])
        return sample


class LooksAtMasks(BaseSegDataset):
    METAINFO = {'classes': CLASSES}

    def get_data_info(self, idx):
        info = super().get_data_info(idx)
        info['labels'] = np.unique(Image.open(info['seg_map_path'])).tolist()
        return info


class LooksPolitely(BaseSegDataset):
    METAINFO = {'classes': CLASSES}

    def get_data_info(self, idx):
        info = super().get_data_info(idx)
        info['has_mask'] = 'seg_map_path' in info
        return info


class ReturnsTuple(BaseSegDataset):
    METAINFO = {'classes': CLASSES}

    def __getitem__(self, idx):
        sample = super().__getitem__(idx)
        return sample['inputs'], sample['data_samples']


CUSTOM = (
    LooksAtMasks,
    LooksPolitely,
    ReturnsTuple,
    Remapping,
    Preparing,
    Redirecting,
    RandomNoise,
    Mixing,
    WithoutPipeline,
    OpensMasks,
)


@pytest.fixture(autouse=True)
def registered():
    for one in CUSTOM:
        DATASETS.register_module(module=one, force=True)
    yield
    for one in CUSTOM:
        DATASETS.module_dict.pop(one.__name__)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images of coordinates; masks with the labels 0 to 8."""
    for part in ('images', 'masks'):
        (tmp_path / part).mkdir()
    rows, cols = np.mgrid[:9, :12]
    for i in range(4):
        img = np.stack([10 * rows, 10 * cols, 0 * rows + i], 2).astype(np.uint8)
        Image.fromarray(img).save(tmp_path / f'images/{i}.png')
        Image.fromarray(rows.astype(np.uint8)).save(tmp_path / f'masks/{i}.png')
    return tmp_path


def config(folder: Path, kind: type | str, pipeline: list, **options) -> dict:
    return {
        'type': kind if isinstance(kind, str) else kind.__name__,
        'data_root': str(folder),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
        'img_suffix': '.png',
        'pipeline': pipeline,
        'serialize_data': False,
        **options,
    }


def semi(folder: Path, kind: type) -> SemiDataset:
    return SemiDataset(
        config(folder, kind, LABELED), config(folder, kind, UNLABELED, indices=3)
    )


def draw(index: int, number: int = 0) -> SampleKey:
    return SampleKey(index, seed=5, number=number)


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

"""The datasets of configs/_base_/datasets/*_semi*.py: views, labels, batches."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import LoadAnnotations
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmseg_wsss.datasets.splits.published import PUBLISHED
from mmseg_wsss.registry import DATASETS, MODELS, TRANSFORMS

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted((ROOT / 'configs/_base_/datasets').glob('*_semi*.py'))
# Classes, folders and pipelines of its parts are set by the templates.
CONFIGS.remove(ROOT / 'configs/_base_/datasets/image_folder_semi.py')
every_config = pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)

# Folder, list, images, masks (None: no list) and end of the names of either.
LAYOUTS = {
    'voc12_semi': (
        'data/VOCdevkit/VOC2012',
        '{}_{:06d}',
        'JPEGImages/{}.jpg',
        'SegmentationClassAug/{}.png',
    ),
    'cityscapes_semi': (
        'data/cityscapes',
        'train/aachen/aachen_{:06d}_{:06d}',
        'leftImg8bit/{}_leftImg8bit.png',
        'gtFine/{}_gtFine_labelTrainIds.png',
    ),
    'coco_semi': (
        'data/coco',
        '{:06d}{:06d}',
        'train2017/{}.jpg',
        'masks/train2017/{}.png',
    ),
}


def write_data(name: str, split: str) -> None:
    """Six images, the first two with masks; lists of the split."""
    root, pattern, image, mask = LAYOUTS[name]
    names = [pattern.format(2007, i) for i in range(6)]
    rng = np.random.default_rng(0)
    for i, one in enumerate(names):
        files = [(image, rng.integers(0, 256, (40, 60, 3)))]
        files += [(mask, rng.integers(0, 19, (40, 60)))] * (i < 2)
        for place, array in files:
            path = Path(root, place.format(one))
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(path)
    folder = Path(root, split)
    folder.mkdir(parents=True)
    (folder / 'labeled.txt').write_text('\n'.join(names[:2]))
    (folder / 'unlabeled.txt').write_text('\n'.join(names[2:]))


@pytest.mark.parametrize('name', LAYOUTS)
def test_a_batch(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(ROOT / f'configs/_base_/datasets/{name}.py')
    write_data(name, cfg.train_dataloader.dataset.split)
    assert Path(cfg.train_dataloader.dataset.split).name in PUBLISHED
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    assert loader.dataset.cumulative_sizes == [2, 6]
    batch = next(iter(loader))
    inner = {'type': 'SegDataPreProcessor', 'size': cfg.crop_size}
    preprocessor = MODELS.build(
        {'type': 'MultiBranchDataPreprocessor', 'data_preprocessor': inner}
    )
    prepared = preprocessor(batch, training=True)
    half = cfg.train_dataloader.batch_size // 2
    for branch in ('sup', 'unsup_weak', 'unsup_strong'):
        assert prepared['inputs'][branch].shape == (half, 3, *cfg.crop_size)
        for sample in prepared['data_samples'][branch]:
            assert ('gt_sem_seg' in sample) == (branch == 'sup')
            assert 0 < sample.valid_map.data.sum() <= np.prod(cfg.crop_size)
    labels = np.unique(prepared['data_samples']['sup'][0].gt_sem_seg.data)
    assert set(labels.tolist()) <= {*range(19), 255}


@every_config
def test_sampler_and_loader_agree(path):
    loader = Config.fromfile(path).train_dataloader
    assert loader.sampler.type == 'MultiSourceSampler'
    assert loader.sampler.batch_size == loader.batch_size


@every_config
def test_views_share_loading_and_geometry(path):
    data = Config.fromfile(path).train_dataloader.dataset
    assert data.type == 'SemiDataset'
    labeled, unlabeled = data.labeled.pipeline, data.unlabeled.pipeline
    assert labeled[0] == unlabeled[0]
    # Some turn the few labeled images, and no bare ones.
    geometry = [step for step in labeled[2:-1] if step.type != 'RandomRotate']
    assert geometry == unlabeled[1:-1]
    assert all(s.seg_pad_val == 255 for s in labeled if s.type == 'RandomRotate')
    assert set(labeled[-1]) == {'type', 'sup'}
    assert set(unlabeled[-1]) == {'type', 'unsup_weak', 'unsup_strong'}


@every_config
def test_masks_of_the_unlabeled_part_are_unknown(path):
    data = Config.fromfile(path).train_dataloader.dataset
    assert set(data.unlabeled.data_prefix) == {'img_path'}
    for step in data.unlabeled.pipeline:
        assert not issubclass(TRANSFORMS.get(step.type), LoadAnnotations)


@every_config
def test_labels_are_checked_against_the_classes(path):
    cfg = Config.fromfile(path)
    loader = next(s for s in cfg.labeled_pipeline if s.type == 'LoadAnnotationsStrict')
    counts = {'toy': 7, 'camvid': 11, 'voc': 21, 'cityscapes': 19, 'coco': 81}
    (expected,) = (n for name, n in counts.items() if path.stem.startswith(name))
    assert loader.num_classes == expected
    part = cfg.train_dataloader.dataset.labeled
    known = {**DATASETS.get(part.type).METAINFO, **part.get('metainfo', {})}
    assert len(set(known['classes'])) == expected


def test_voc_mini_has_51_masks_and_154_unlabeled_images(shared):
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/voc_mini_semi_1_4.py')
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    assert loader.dataset.cumulative_sizes == [51, 205]
    names = [loader.dataset.get_data_info(i)['img_path'] for i in range(205)]
    assert len(set(names)) == 205
    listed = (
        shared / 'data/voc-mini/VOC2012/ImageSets/Segmentation/train.txt'
    ).read_text()
    assert {Path(name).stem for name in names} == set(listed.split())


def test_the_example_of_the_data_page_loads(tmp_path, monkeypatch):
    page = (ROOT / 'docs/data.md').read_text()
    section = page.partition('## Few masks')[2].partition('\n## ')[0]
    code = re.findall(r'^( *)```python\n(.*?)^\1```$', section, re.M | re.S)
    names: dict = {}
    for _, block in code:
        exec(textwrap.dedent(block), names)
    monkeypatch.chdir(tmp_path)
    for place in (
        'my_data/images/a.jpg',
        'my_data/masks/a.png',
        'more_images/b.jpg',
    ):
        path = Path('data', place)
        path.parent.mkdir(parents=True)
        shape = (30, 40) if path.suffix == '.png' else (30, 40, 3)
        Image.fromarray(np.ones(shape, np.uint8)).save(path)
    Path('data/my_data/labeled.txt').write_text('a\n')
    cfg = Config({'train_dataloader': names['train_dataloader']}).train_dataloader
    cfg.num_workers = 0
    batch = next(iter(Runner.build_dataloader(cfg, seed=0)))
    found = {k: [i is not None for i in v] for k, v in batch['inputs'].items()}
    assert found['sup'] == [True] * 4 + [False] * 4
    assert found['unsup_weak'] == found['unsup_strong'] == [False] * 4 + [True] * 4

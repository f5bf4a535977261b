"""Build training data and steps of configs at published sizes, on generated images."""

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from torch.utils.flop_counter import FlopCounterMode

from mmseg_wsss import config_path
from mmseg_wsss.datasets import SemiDataset
from mmseg_wsss.datasets.sample_key import SampleKey, seeded
from mmseg_wsss.registry import DATASETS, MODELS
from mmseg_wsss.utils.configs import walk_dicts

# Height, width and suffix of the images of a dataset.
IMAGES = {
    'voc12': (375, 500, '.jpg'),
    'coco': (480, 640, '.jpg'),
    'cityscapes': (1024, 2048, '.png'),
}
NOT_TRAININGS = ('_base_', 'templates', 'pipelines')


def published_configs(only: str = '') -> dict[str, Config]:
    """Return one config of each method, backbone, dataset and crop, by its path.

    Mixed precision, few GPUs and configs without variants are preferred.

    Args:
        only: Part of the paths.
    """
    root = Path(config_path())
    paths = [
        p for p in root.rglob('*_*.py') if p.parts[len(root.parts)] not in NOT_TRAININGS
    ]
    paths.sort(key=lambda p: (len(p.parts), '-amp_' not in p.name, gpus_of(p), p))
    found: dict[tuple, tuple[str, Config]] = {}
    for path in paths:
        if images_of(path) is None or only not in str(path):
            continue
        cfg = Config.fromfile(path, import_custom_modules=False)
        name = path.relative_to(root)
        data = path.stem.split('-')[-2:]
        key = (name.parts[0], cfg.model.type, path.stem.split('_')[1], *data)
        found.setdefault(key, (str(name), cfg))
    return dict(sorted(found.values()))


def gpus_of(path: Path) -> tuple[int, int]:
    """Return the number of GPUs in the name of a config, and the name's length."""
    found = re.search(r'_(\d+)xb', path.stem)
    return int(found[1]) if found else 0, len(path.stem)


def images_of(path: Path) -> str | None:
    """Return the key of ``IMAGES`` for a config; None for small datasets."""
    found = re.search(rf'-({"|".join(IMAGES)})\w*-\d+$', path.stem)
    return found and found[1]


def write_images(folder: Path, number: int) -> None:
    """Write ``number`` smooth images with noise, and masks, of each dataset.

    JPEG files have about the size of photographs, PNG files are larger.
    """
    rng = np.random.default_rng(0)
    for data, (height, width, suffix) in IMAGES.items():
        for name in ('images', 'masks'):
            (folder / data / name).mkdir(parents=True)
        for i in range(number):
            coarse = rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
            smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
            img = (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255)
            cv2.imwrite(
                str(folder / data / 'images' / f'{i}{suffix}'), img.astype('u1')
            )
            labels = rng.integers(0, 19, (height // 64, width // 64)).astype(np.uint8)
            mask = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
            mask[:5] = 255
            cv2.imwrite(str(folder / data / 'masks' / f'{i}.png'), mask)


def build_dataset(cfg: Config, folder: Path, data: str) -> Any:
    """Build the training dataset of a config on generated images.

    Args:
        cfg: The config; it is not changed.
        folder: Folder of :func:`write_images`.
        data: Key of ``IMAGES``.
    """
    dataset = cfg.train_dataloader.dataset.to_dict()
    for step in walk_dicts(dataset):
        if step.get('type') == 'LoadPseudoLabel':
            step['folder'] = str(folder / data / 'masks')

    def generated(part: dict, **settings: Any) -> dict:
        classes = DATASETS.get(part['type']).METAINFO['classes']
        prefix = {'img_path': 'images', 'seg_map_path': 'masks'}
        return settings | {
            'type': 'BaseSegDataset',
            'metainfo': {'classes': classes},
            'data_root': str(folder / data),
            'data_prefix': {key: prefix[key] for key in part['data_prefix']},
            'img_suffix': IMAGES[data][2],
        }

    if dataset['type'] == 'WeakDataset':
        dataset['dataset'] = generated(dataset['dataset'])
        classes = dataset['dataset']['metainfo']['classes']
        tags = {
            path.stem: classes[1:3] for path in (folder / data / 'images').iterdir()
        }
        path = folder / f'tags_{len(classes)}.json'
        path.write_text(json.dumps(tags))
        dataset['tags'] = {'path': str(path)}
    elif dataset['type'] == 'SemiDataset':
        del dataset['split']
        for name in ('labeled', 'unlabeled'):
            part = dataset[name]
            dataset[name] = generated(part, pipeline=part['pipeline'])
    else:
        dataset = generated(dataset, pipeline=dataset['pipeline'])
    return DATASETS.build(dataset)


def draw(dataset: Any, index: int, number: int) -> dict:
    """Return a sample as a worker of the data loader does."""
    if hasattr(dataset, 'data_list'):  # a dataset of mmseg, which seeds no draws
        with seeded(0, number):
            return dataset[index]
    return dataset[SampleKey(index, 0, number)]


def step_tflop(cfg: Config, folder: Path, data: str, phase: dict) -> float:
    """Count the operations of a step per image, forward and backward, in 10^12.

    Convolutions and matrix products are counted on a batch of 2 (2 + 2) crops with a
    quarter of the side, and scaled by the ratio of the areas; CRFs and the like are not
    counted.

    Args:
        cfg: The config; it is not changed.
        folder: Folder of :func:`write_images`.
        data: Key of ``IMAGES``.
        phase: Attributes of the segmentor that its hooks set.
    """
    steps = walk_dicts(cfg.train_dataloader.to_dict())
    side = next(step['crop_size'][0] for step in steps if 'crop_size' in step)
    small = side // 56 * 14 if side % 14 == 0 else (side - 1) // 4 + 1
    cfg = cfg.copy()
    for part in walk_dicts(cfg._cfg_dict):
        part.pop('init_cfg', None)
        part.pop('pretrained', None)
        for key in ('crop_size', 'size'):
            if part.get(key) == (side, side):
                part[key] = (small, small)
    dataset = build_dataset(cfg, folder, data)
    numbers = [0, 1]
    if isinstance(dataset, SemiDataset):
        numbers += [n + len(dataset) // 2 for n in numbers]
    batch = pseudo_collate([draw(dataset, n, n) for n in numbers])
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
    for name, value in phase.items():
        setattr(model, name, value)
    batch = model.data_preprocessor(batch, training=True)
    with FlopCounterMode(display=False) as counter:
        model.parse_losses(model(**batch, mode='loss'))[0].backward()
    ratio = (side / small) ** 2
    return counter.get_total_flops() * ratio / len(numbers) / 1e12


def pipeline_key(cfg: Config) -> str:
    """Return a text that is equal for configs with equal training pipelines."""
    dataset = cfg.train_dataloader.dataset
    parts = dataset, *(dataset.get(name) for name in ('labeled', 'unlabeled'))
    pipelines = [part.get('pipeline') for part in parts if part]
    return json.dumps([parts[0].get('dataset'), pipelines], default=str)


def use_bmp() -> None:
    """Use BMP files in place of PNG files."""
    IMAGES.update({k: (*v[:2], v[2].replace('png', 'bmp')) for k, v in IMAGES.items()})


def set_threads_of_workers() -> None:
    """Set the threads of the libraries as in a worker of the data loader."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)

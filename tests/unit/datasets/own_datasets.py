"""Datasets of other projects with methods of their own, and images for them."""

from pathlib import Path

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmseg_wsss.datasets import SemiDataset
from mmseg_wsss.datasets.sample_key import SampleKey

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


def write_images(folder: Path) -> Path:
    """Four images of coordinates; masks with the labels 0 to 8."""
    for part in ('images', 'masks'):
        (folder / part).mkdir()
    rows, cols = np.mgrid[:9, :12]
    for i in range(4):
        img = np.stack([10 * rows, 10 * cols, 0 * rows + i], 2).astype(np.uint8)
        Image.fromarray(img).save(folder / f'images/{i}.png')
        Image.fromarray(rows.astype(np.uint8)).save(folder / f'masks/{i}.png')
    return folder


def config(folder: Path, kind: type | str, pipeline: list, **options) -> dict:
    return {
        'type': kind,
        'data_root': str(folder),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
        'img_suffix': '.png',
        'pipeline': pipeline,
        **options,
    }


def semi(folder: Path, kind: type) -> SemiDataset:
    return SemiDataset(
        config(folder, kind, LABELED), config(folder, kind, UNLABELED, indices=3)
    )


def draw(index: int, number: int = 0) -> SampleKey:
    return SampleKey(index, seed=5, number=number)

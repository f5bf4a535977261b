"""LoadImageStrict and LoadAnnotationsStrict: intact files load, broken ones raise."""

from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from mmseg_wsss.datasets import WeakDataset
from mmseg_wsss.datasets.transforms import LoadAnnotationsStrict, LoadImageStrict
from mmseg_wsss.registry import TRANSFORMS

SUFFIXES = ('jpg', 'png', 'bmp', 'webp')


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path) -> Path:
    """A noise image, so that every byte of its file matters."""
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (24, 31, 3), dtype=np.uint8)
    file = tmp_path / f'image.{request.param}'
    Image.fromarray(array).save(file)
    return file


def load(path: Path, **settings: object) -> np.ndarray:
    return LoadImageStrict(**settings)({'img_path': str(path)})['img']


def test_intact_image_equals_that_of_mmcv(path):
    results = LoadImageStrict()({'img_path': str(path)})
    expected = LoadImageFromFile()({'img_path': str(path)})
    assert np.array_equal(results['img'], expected['img'])
    assert results['img_shape'] == results['ori_shape'] == (24, 31)
    assert load(path, to_float32=True).dtype == np.float32


@pytest.mark.parametrize('lost', [1, 40, 300])
def test_truncated_image_is_named(path, lost):
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(ValueError, match=f'{path}: unreadable image'):
        load(path)


@pytest.mark.parametrize('content', [b'', b'\xff\xd8\xff\xd9', b'GIF89a', b'x' * 100])
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / 'image.jpg'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'{path}: unreadable image'):
        load(path)


def test_jpeg_with_trailing_bytes_is_accepted(tmp_path):
    path = tmp_path / 'padded.jpg'
    Image.new('RGB', (8, 8), (200, 0, 0)).save(path)
    whole = load(path)
    path.write_bytes(path.read_bytes() + b'\0' * 64)
    assert np.array_equal(load(path), whole)


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.jpg'):
        load(tmp_path / 'nowhere.jpg')


def label_map(path: Path, labels: np.ndarray, **settings: object) -> np.ndarray:
    Image.fromarray(labels).save(path)
    results = {
        'seg_map_path': str(path),
        'seg_fields': [],
        'reduce_zero_label': settings.pop('reduce_zero_label', False),
        'label_map': settings.pop('label_map', None),
    }
    return LoadAnnotationsStrict(**settings)(results)['gt_seg_map']


def test_labels_load_as_in_mmseg(tmp_path):
    labels = np.array([[0, 1, 2], [255, 2, 0]], np.uint8)
    path = tmp_path / 'mask.png'
    assert np.array_equal(label_map(path, labels, num_classes=3), labels)
    expected = [[255, 0, 1], [255, 1, 255]]
    reduced = label_map(path, labels, num_classes=2, reduce_zero_label=True)
    assert reduced.tolist() == expected
    mapped = label_map(path, labels, num_classes=2, label_map={0: 1, 1: 0, 2: 255})
    assert mapped.tolist() == [[1, 0, 255], [255, 255, 1]]


def test_a_jpeg_is_no_label_map(tmp_path):
    with pytest.raises(ValueError, match=r'm\.jpg: .*JPEG changes labels'):
        label_map(tmp_path / 'm.jpg', np.zeros((8, 8), np.uint8))


def test_labels_are_checked_after_mapping(tmp_path):
    labels = np.array([[0, 1, 2]], np.uint8)
    with pytest.raises(ValueError, match=r'labels \[2\] outside \[0, 1\]'):
        label_map(tmp_path / 'mask.png', labels, num_classes=2)
    assert label_map(tmp_path / 'mask.png', labels).max() == 2


def test_loading_masks_is_refused_in_weakly_supervised_training(tmp_path):
    Image.new('RGB', (4, 4)).save(tmp_path / 'a.png')
    inner = {'type': 'ImageFolder', 'data_root': str(tmp_path), 'classes': ['dog']}
    pipeline = [{'type': 'LoadImageStrict'}, {'type': 'LoadAnnotationsStrict'}]
    assert TRANSFORMS.get('LoadAnnotationsStrict') is LoadAnnotationsStrict
    with pytest.raises(ValueError, match='LoadAnnotationsStrict: masks must not reach'):
        WeakDataset(inner, pipeline, {})

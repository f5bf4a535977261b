"""Start-up check: depth and sizes of files, classes of training and validation."""

from unittest import mock

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.datasets import (
    DeterministicDataset,
    ImageTags,
    SemiDataset,
    WeakDataset,
)
from mmseg_wsss.datasets.checks.check_splits import check_splits
from mmseg_wsss.datasets.checks.from_config import splits_from_config
from mmseg_wsss.datasets.image_headers import read_header
from mmseg_wsss.engine.startup_check.classes import (
    check_classes,
    check_validation_classes,
    transforms_of,
)
from mmseg_wsss.engine.startup_check.files import check_files, check_labels
from mmseg_wsss.engine.startup_check.inputs import check_hidden_masks
from mmseg_wsss.models.decode_heads import CAMHead
from mmseg_wsss.registry import DATASETS

LOAD = {'type': 'LoadImageFromFile'}
MASK = {'type': 'LoadAnnotations'}
PACK = {'type': 'PackSegInputs'}
DEEP = {'type': 'LoadImageStrict', 'color_type': 'unchanged'}


@pytest.fixture
def folder(tmp_path):
    """Three images of 6 x 8 with masks."""
    for i in range(3):
        for part, channels in (('img', (3,)), ('ann', ())):
            (tmp_path / part).mkdir(exist_ok=True)
            blank = np.zeros((6, 8, *channels), np.uint8)
            Image.fromarray(blank).save(tmp_path / part / f'{i}.png')
    return tmp_path


def config(folder, pipeline, classes=('background', 'defect'), **options):
    return {
        'type': 'BaseSegDataset',
        'data_root': str(folder),
        'data_prefix': {'img_path': 'img', 'seg_map_path': 'ann'},
        'img_suffix': '.png',
        'metainfo': {'classes': classes} if classes else None,
        'pipeline': pipeline,
        **options,
    }


def semi(folder, load=LOAD):
    return SemiDataset(config(folder, [load, MASK, PACK]), config(folder, [load, PACK]))


def found(dataset):
    return [str(problem) for problem in check_files(dataset, 'training')]


def write_deep(path, channels=()):
    image = np.arange(48).reshape(6, 8) * 1000
    image = np.repeat(image[..., None], 3, 2) if channels else image
    cv2.imwrite(str(path), image.astype(np.uint16))


@pytest.mark.parametrize('suffix', ['png', 'tiff'])
@pytest.mark.parametrize('channels', [(), (3,)])
def test_16_bits_that_mmcv_cuts(folder, suffix, channels):
    (folder / 'img/2.png').unlink()
    write_deep(folder / f'img/2.{suffix}', channels)
    (folder / f'img/2.{suffix}').rename(folder / 'img/2.png')
    # Labeled and unlabeled part.
    first, second = found(semi(folder))
    assert first == second
    assert 'img/2.png (training) has 16 bits per channel' in first
    assert "LoadImageStrict(color_type='unchanged')" in first
    assert found(semi(folder, DEEP)) == []
    assert found(semi(folder, {**LOAD, 'color_type': 'unchanged'})) == []


def test_16_bits_in_the_data_check(folder):
    write_deep(folder / 'img/0.png')
    cfg = {'val_dataloader': {'dataset': config(folder, [LOAD, MASK, PACK])}}

    def kinds():
        splits, findings = splits_from_config(Config(cfg))
        return [item.kind for item in findings + check_splits(splits).findings]

    assert kinds() == ['depth of the image']
    cfg['val_dataloader']['dataset']['pipeline'][0] = DEEP
    assert kinds() == []


def test_mask_of_another_size(folder):
    assert found(semi(folder)) == []
    Image.new('L', (6, 8)).save(folder / 'ann/1.png')
    (message,) = found(semi(folder))
    assert 'ann/1.png (training) is a mask of (8, 6), its image' in message
    assert 'img/1.png has (6, 8) (height, width)' in message
    # Tags alone are trained: the masks are not loaded.
    names = [str(i) for i in range(3)]
    tags = ImageTags({name: [0] for name in names}, ('defect',))
    assert found(WeakDataset(config(folder, []), [LOAD, PACK], tags)) == []


def test_mask_of_a_rotated_photograph(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (6, 8)).save(folder / 'img/1.jpg', exif=exif)
    assert read_header(folder / 'img/1.jpg') == ((6, 8), 8)
    assert read_header(folder / 'img/1.jpg', rotate=False) == ((8, 6), 8)
    (folder / 'img/1.jpg').rename(folder / 'img/1.png')
    assert found(semi(folder)) == []
    flat = {**LOAD, 'color_type': 'color_ignore_orientation'}
    assert 'is a mask of (6, 8), its image' in found(semi(folder, flat))[0]


@pytest.mark.parametrize('suffix', ['png', 'webp', 'jpg'])
@pytest.mark.parametrize('load', [LOAD, DEEP])
def test_a_turned_image_in_the_data_check(folder, suffix, load):
    """``color_type='unchanged'`` does not apply the orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (6, 8)).save(folder / f'img/1.{suffix}', exif=exif)
    (folder / f'img/1.{suffix}').rename(folder / 'img/1.png')
    cfg = {'val_dataloader': {'dataset': config(folder, [load, MASK, PACK])}}
    splits, _ = splits_from_config(Config(cfg))
    kinds = [item.kind for item in check_splits(splits).findings]
    img = DATASETS.build(config(folder, [load, PACK]))[1]['inputs']
    assert kinds == ['size of the mask'] * (img.shape[1:] != (6, 8))
    assert (load is DEEP) == bool(kinds)


def test_broken_and_missing_files_are_left_to_their_loader(folder):
    (folder / 'img/1.png').write_bytes(b'x')
    (folder / 'ann/2.png').unlink()
    assert found(semi(folder)) == []
    assert found(object()) == []


@pytest.mark.parametrize('step', [None, {'type': 'RandomCrop', 'crop_size': (6, 6)}])
def test_training_names_the_mask_of_another_size(folder, step):
    Image.new('L', (5, 5)).save(folder / 'ann/1.png')
    dataset = SemiDataset(
        config(folder, [LOAD, MASK, *([step] if step else []), PACK]),
        config(folder, [LOAD, PACK]),
    )
    assert dataset[0]['data_samples'].gt_sem_seg.shape[0] == 6
    message = r'ann/1\.png: its part of a crop is \(5, \d\)'
    with pytest.raises(ValueError, match=message):
        dataset[1]


def test_masks_of_the_original_size_beside_resized_images(folder):
    resize = {'type': 'Resize', 'scale': (16, 12), 'keep_ratio': True}
    dataset = SemiDataset(
        config(folder, [LOAD, resize, MASK, PACK]), config(folder, [LOAD, PACK])
    )
    assert dataset[0]['data_samples'].gt_sem_seg.shape == (6, 8)


def test_data_without_classes(folder):
    head = CAMHead(num_classes=2, in_channels=4)
    for meta in ({}, {'classes': None}, {'classes': ()}):
        (problem,) = check_classes(head, meta)
        assert str(problem).startswith('the training data names no classes; set metai')
    with pytest.raises(ValueError, match='names no classes; set metainfo=dict'):
        WeakDataset(config(folder, [], None), [LOAD], {'path': 'tags.json'})
    cfg = {'val_dataloader': {'dataset': config(folder, [], None)}}
    _, (finding,) = splits_from_config(Config(cfg))
    assert finding.kind == 'classes'
    assert 'names no classes' in finding.message
    # Unlabeled images need none.
    part = config(folder, [LOAD, PACK], None)
    pair = {'labeled': config(folder, []), 'unlabeled': part}
    cfg = {'train_dataloader': {'dataset': {'type': 'SemiDataset', **pair}}}
    assert splits_from_config(Config(cfg))[1] == []


@pytest.mark.parametrize(
    ('validation', 'accepted'),
    [
        (('background', 'cat', 'dog'), True),
        (('background', 'Cat', 'dog'), True),
        (('background', 'dog', 'cat'), False),
        (('background', 'cat'), False),
        (None, False),
    ],
)
def test_classes_of_the_validation(validation, accepted):
    meta = {'classes': ('background', 'cat', 'dog')}
    problems = list(check_validation_classes(meta, {'classes': validation}))
    assert (problems == []) is accepted
    if not accepted:
        assert 'the training data background, cat, dog (3)' in str(problems[0])


@pytest.mark.parametrize(('count', 'problems'), [(255, 0), (256, 1)])
def test_more_classes_than_labels(count, problems):
    head = CAMHead(num_classes=count - 1, in_channels=4)
    meta = {'classes': ['background', *(f'class {i}' for i in range(1, count))]}
    found = [str(problem) for problem in check_classes(head, meta)]
    assert len(found) == problems
    assert all('at most 255 are possible' in text for text in found)


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        ([0, 1, 255], None),
        ([0, 2], 'labels [2] outside [0, 1]'),
        ([0, 255], 'the values 0 and 255 only'),
        (None, 'cannot be loaded: FileNotFoundError: '),
    ],
)
def test_labels_of_a_validation(folder, labels, message):
    if labels is None:
        (folder / 'ann/1.png').unlink()
    else:
        mask = np.resize(np.array(labels, np.uint8), (6, 8))
        Image.fromarray(mask).save(folder / 'ann/1.png')
    dataset = DATASETS.build(config(folder, [LOAD, MASK, PACK]))
    problems = [str(problem) for problem in check_labels(dataset)]
    assert len(problems) == (message is not None)
    assert message is None or message in problems[0]


def test_an_error_of_a_transform_is_not_blamed_on_the_mask(folder):
    dataset = DATASETS.build(config(folder, [LOAD, MASK, PACK]))
    dataset.pipeline = mock.Mock(side_effect=ModuleNotFoundError('no module turbo'))
    (problem,) = check_labels(dataset)
    assert 'cannot be loaded: ModuleNotFoundError: no module turbo' in problem.found
    assert 'mask' not in problem.change


def test_a_rare_class_of_a_validation(folder):
    for i in range(40):
        labels = [0, 1] if i == 1 else [0, 255]
        mask = np.resize(np.array(labels, np.uint8), (6, 8))
        Image.fromarray(mask).save(folder / f'ann/{i}.png')
        Image.new('RGB', (8, 6)).save(folder / f'img/{i}.png')
    dataset = DATASETS.build(config(folder, [LOAD, MASK, PACK]))
    assert not list(check_labels(dataset))


def test_labels_that_the_pipeline_maps(folder):
    for i in range(3):
        mask = np.resize(np.array([0, 1, 2], np.uint8), (6, 8))
        Image.fromarray(mask).save(folder / f'ann/{i}.png')
    options = {'reduce_zero_label': True}
    dataset = DATASETS.build(config(folder, [LOAD, MASK, PACK], **options))
    assert not list(check_labels(dataset))
    assert not list(check_labels(DATASETS.build(config(folder, [LOAD, PACK]))))


@pytest.mark.parametrize('suffix', ['png', 'webp', 'jpg'])
def test_a_turned_image_of_any_format(folder, suffix):
    """A mask of the upright image is right."""
    image = Image.new('RGB', (6, 8))  # stored lying
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / f'img/1.{suffix}', exif=exif)
    (folder / f'img/1.{suffix}').rename(folder / 'img/1.png')
    dataset = DATASETS.build(config(folder, [LOAD, MASK, PACK]))
    assert not found(dataset)


def test_transforms_in_wrappers(folder):
    inner = config(folder, [LOAD, MASK, PACK])
    repeated = {'type': 'RepeatDataset', 'dataset': inner, 'times': 2}
    joint = {'type': 'ConcatDataset', 'datasets': [repeated, inner]}
    flip = {'type': 'RandomFlip', 'prob': 0.5}
    mixed = {'type': 'MultiImageMixDataset', 'dataset': joint, 'pipeline': [flip]}
    three = [step['type'] for step in inner['pipeline']]
    for dataset, steps in (
        (inner, three),
        (repeated, three),
        (joint, three * 2),
        (mixed, ['RandomFlip', *three * 2]),
    ):
        found = transforms_of(DATASETS.build(dataset))
        assert [type(step).__name__ for step in found] == steps


class TestMasksOfAnEvaluation:
    """In training they would become labels."""

    @pytest.fixture
    def weak(self, folder):
        """Make the config of a WeakDataset of the images in ``folder``."""
        tags = ImageTags({str(i): [0] for i in range(3)}, ('defect',))

        def make(test_mode):
            return {
                'type': 'WeakDataset',
                'dataset': config(folder, []),
                'pipeline': [LOAD, PACK],
                'tags': tags,
                'test_mode': test_mode,
            }

        return make

    def problems(self, dataset):
        return [str(problem) for problem in check_hidden_masks(dataset)]

    @pytest.mark.parametrize('count', [0, 1, 2])
    def test_in_wrappers(self, weak, count):
        parts = [weak(index < count) for index in range(2)]
        joint = {'type': 'ConcatDataset', 'datasets': parts}
        repeated = {'type': 'RepeatDataset', 'dataset': joint, 'times': 2}
        mixed = {'type': 'MultiImageMixDataset', 'dataset': repeated, 'pipeline': []}
        for dataset in (joint, repeated, mixed, parts[0]):
            found = self.problems(DATASETS.build(dataset))
            assert len(found) == min(count, 1)
            assert all('remove test_mode=True from it' in text for text in found)

    def test_other_datasets_hide_the_masks_of_images_with_tags(self, weak, folder):
        with pytest.raises(TypeError, match='cannot wrap WeakDataset'):
            DeterministicDataset(weak(True))
        weak_pack = {'type': 'PackWeakInputs'}
        labeled = config(folder, [LOAD, MASK, weak_pack])
        (folder / 'tags.csv').write_text('0,defect\n1,defect\n2,defect\n')
        for part in ('tagged', 'unlabeled'):
            others = {
                part: config(folder, [LOAD, weak_pack], test_mode=True),
                'tags': {'path': str(folder / 'tags.csv')},
            }
            data = SemiDataset(labeled, **others)
            assert self.problems(data) == []
            assert 'seg_map_path' not in data.get_data_info(3)
            assert 'gt_sem_seg' not in data[3]['data_samples']
            with pytest.raises(TypeError, match='cannot wrap WeakDataset'):
                SemiDataset(labeled, **others | {part: weak(True)})
        inner = config(folder, [], test_mode=True)
        data = WeakDataset(inner, [LOAD, PACK], weak(False)['tags'])
        assert self.problems(data) == []
        assert 'gt_sem_seg' not in data[0]['data_samples']

"""Tags from masks, and the rule from labels to tags."""

import numpy as np
import pytest
from PIL import Image
from tag_files import CLASSES, VOC, WANTED, as_dict, problems

from mmseg_wsss.datasets.label_maps import LabelRule
from mmseg_wsss.datasets.tags import (
    tags_from_masks,
)


def save_mask(path, labels, mode='L'):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(labels, dtype=np.uint8))
    if mode == 'P':
        image.putpalette([value % 256 for value in range(768)])
    image.save(path)
    return path


@pytest.mark.parametrize('mode', ['L', 'P'])
@pytest.mark.parametrize('workers', [0, 2])
def test_masks(tmp_path, mode, workers):
    save_mask(tmp_path / 'a.png', [[0, 1], [2, 255]], mode)
    save_mask(tmp_path / 'sub' / 'b.png', [[3, 3], [3, 3]], mode)
    tags = tags_from_masks(tmp_path, CLASSES, workers=workers)
    assert as_dict(tags) == {'a': WANTED['a'], 'sub/b': WANTED['b']}


@pytest.mark.parametrize(
    ('background', 'reduce_zero_label', 'labels', 'wanted'),
    [
        (True, False, [0, 1, 3, 255], [0, 2]),
        (False, False, [0, 1, 2, 255], [0, 1, 2]),
        (False, True, [0, 1, 3, 255], [0, 2]),
        (True, True, [0, 1, 2, 4, 255], [0, 2]),
    ],
)
def test_label_rule_by_hand(tmp_path, background, reduce_zero_label, labels, wanted):
    mask = save_mask(tmp_path / 'm.png', [labels])
    rule = LabelRule(3, background, reduce_zero_label)
    tags = tags_from_masks({'x': mask}, CLASSES, rule)
    assert np.flatnonzero(tags.vector('x')).tolist() == wanted


@pytest.mark.parametrize('background', [True, False])
@pytest.mark.parametrize('reduce_zero_label', [True, False])
@pytest.mark.parametrize('ignore_index', [255, 254, 0])
def test_label_rule_against_a_loop(background, reduce_zero_label, ignore_index):
    rule = LabelRule(5, background, reduce_zero_label, ignore_index)
    tags, outside = [], []
    for value in range(256):
        if value == ignore_index:
            continue
        label = value - 1 if reduce_zero_label else value
        if label == -1:
            continue
        tag = label - 1 if background else label
        if tag >= 5:
            outside.append(value)
        elif tag >= 0:
            tags.append(tag)
    values = np.arange(256, dtype=np.uint8)
    assert rule.tags(values) == tags
    assert rule.problem(np.array(sorted({*range(256)} - {*outside}))) is None
    assert rule.problem(values).startswith(f'labels {outside} outside [0, ')
    assert 'labels [-3]' in rule.problem(np.array([-3], dtype=np.int32))


def test_masks_min_pixels_counts_pixels(tmp_path):
    mask = save_mask(tmp_path / 'm.png', [[1, 1, 2], [0, 0, 0]])
    tags = tags_from_masks({'x': mask}, CLASSES, min_pixels=2)
    assert tags.labels('x') == ['dog']


def test_bad_masks_are_all_named(tmp_path):
    save_mask(tmp_path / 'good.png', [[1]])
    save_mask(tmp_path / 'label.png', [[1, 4, 99]])
    Image.new('RGB', (4, 4)).save(tmp_path / 'color.png')
    whole = save_mask(tmp_path / 'cut.png', np.arange(64).reshape(8, 8) % 3)
    whole.write_bytes(whole.read_bytes()[:-20])
    (tmp_path / 'text.png').write_text('no image')
    Image.new('L', (4, 4)).save(tmp_path / 'photo.png', format='JPEG')
    found = '\n'.join(problems(tags_from_masks, tmp_path, CLASSES, workers=2))
    assert 'label.png: labels [4, 99] outside [0, 3] and not 255' in found
    assert 'color.png: expected a palette or gray label map' in found
    assert 'cut.png: unreadable label map' in found
    assert 'text.png: unreadable label map' in found
    assert 'photo.png: unreadable label map: JPEG changes labels' in found
    assert 'good.png' not in found


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        tags_from_masks(tmp_path / 'nowhere', CLASSES)


def test_real_masks(shared):
    root = shared / 'data/voc-mini/VOC2012'
    names = (root / 'ImageSets/Segmentation/train.txt').read_text().split()
    tags = tags_from_masks(root / 'SegmentationClass', VOC, images=names)
    assert tags.names == tuple(names) and len(names) == 205
    tags.check(names)
    loop = {}
    for name in names[:40]:
        labels = np.array(Image.open(root / f'SegmentationClass/{name}.png'))
        loop[name] = [VOC[k - 1] for k in range(1, 21) if (labels == k).any()]
        assert tags.labels(name) == loop[name]
    assert loop['2007_000032'] == ['aeroplane', 'person']
    assert min(tags.counts().values()) > 0

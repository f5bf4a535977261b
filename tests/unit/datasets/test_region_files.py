"""The same masks in every format are the same regions."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_wsss.datasets.region_files import read_regions, regions_of_numbers

SIZE = (4, 5)
MASKS = np.zeros((3, *SIZE), bool)
MASKS[0, 1:3, 1:4] = True
MASKS[1, 0] = True  # MASKS[2] is empty
WANTED = [np.flatnonzero(mask).tolist() for mask in MASKS]


def counts_of(mask):
    """Return the run lengths of a mask whose first pixel may be set."""
    flat = mask.T.ravel().tolist()
    counts, value = [0], 0
    for pixel in flat:
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def save_png(path, array):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def as_folder(path):
    for number, mask in enumerate(MASKS):
        save_png(path / f'{number}.png', mask.astype(np.uint8) * 255)
    (path / 'metadata.csv').write_text('id,area\n')
    return path


def as_json(path, entries=None, wrap=True):
    if entries is None:
        entries = [{'segmentation': {'counts': counts_of(m)}, 'area': 0} for m in MASKS]
    content = {'image': {}, 'annotations': entries} if wrap else entries
    path.write_text(json.dumps(content))
    return path


def as_list(path):
    return as_json(path, wrap=False)


def as_polygons(path):
    boxes = [[1, 1, 4, 1, 4, 3, 1, 3]], [[0, 0, 5, 0, 5, 1, 0, 1]], []
    return as_json(path, [{'segmentation': box} for box in boxes])


def as_npz(path):
    np.savez_compressed(path, MASKS)
    return path


def as_npy(path):
    np.save(path, MASKS.astype(np.uint8))
    return path


def as_prediction(path):
    """Write what users of SAM's predictors save."""
    boxes, scores = np.zeros((3, 4)), np.array([{}], object)
    np.savez(path, scores=scores, masks=MASKS[:, None], boxes=boxes)
    return path


@pytest.mark.parametrize(
    ('write', 'name'),
    [
        (as_folder, 'a'),
        (as_prediction, 'a.npz'),
        (as_json, 'a.json'),
        (as_list, 'a.json'),
        (as_polygons, 'a.jpg.json'),
        (as_npz, 'a.npz'),
        (as_npy, 'a.npy'),
    ],
)
def test_masks_in_every_format(tmp_path, write, name):
    found = read_regions(write(tmp_path / name), SIZE)
    assert [region.tolist() for region in found] == WANTED


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize('suffix', ['.png', '.npz', '.npy'])
def test_numbers_of_regions(tmp_path, dtype, suffix):
    numbers = np.array([[0, 3, 3], [200, 0, 3]], dtype)
    path = tmp_path / f'a{suffix}'
    if suffix == '.png':
        cv2.imwrite(str(path), numbers.astype(np.uint16))
    elif suffix == '.npz':
        np.savez(path, segments=numbers)
    else:
        np.save(path, numbers)
    regions = [region.tolist() for region in read_regions(path, (2, 3))]
    assert regions == [[1, 2, 5], [3]]
    regions = read_regions(path, (2, 3), zero_is_region=True)
    assert [region.tolist() for region in regions] == [[0, 4], [1, 2, 5], [3]]


@pytest.mark.parametrize('palette', [True, False])
def test_contours_of_palette_files_are_no_region(tmp_path, palette):
    """VOC marks the contours of objects by 255; a gray file has any numbers."""
    image = Image.fromarray(np.array([[0, 1, 255], [255, 1, 1]], np.uint8))
    if palette:
        image.putpalette(bytes(range(256)) * 3)
    image.save(tmp_path / 'a.png')
    found = [region.tolist() for region in read_regions(tmp_path / 'a.png', (2, 3))]
    assert found == ([[1, 4, 5]] if palette else [[1, 4, 5], [2, 3]])
    found = read_regions(tmp_path / 'a.png', (2, 3), zero_is_region=True)
    assert len(found) == (2 if palette else 3)


def test_regions_of_numbers_equal_a_loop():
    numbers = np.random.default_rng(0).integers(0, 6, (8, 9))
    expected = [np.flatnonzero(numbers == n).tolist() for n in range(6)]
    found = regions_of_numbers(numbers, zero_is_region=True)
    assert [region.tolist() for region in found] == expected
    assert regions_of_numbers(np.zeros((2, 2), int)) == []
    assert len(regions_of_numbers(np.ones((2, 2), int))) == 1


def test_masks_are_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 2, 1):
        mask = np.zeros(SIZE, np.uint8)
        mask.flat[number] = 255
        save_png(tmp_path / f'a/{number}.png', mask)
    found = read_regions(tmp_path / 'a', SIZE)
    assert [region.tolist() for region in found] == [[1], [2], [10]]


def test_a_folder_or_list_without_masks(tmp_path):
    (tmp_path / 'a').mkdir()
    assert read_regions(tmp_path / 'a', SIZE) == []
    assert read_regions(as_json(tmp_path / 'a.json', []), SIZE) == []


@pytest.mark.parametrize(
    ('write', 'name'), [(as_folder, 'a'), (as_npz, 'a.npz'), (as_json, 'a.json')]
)
def test_other_sizes_are_refused(tmp_path, write, name):
    path = write(tmp_path / name)
    wanted = '6x5 pixels' if write is as_json else '5x6 .width x height., found 5x4'
    with pytest.raises(ValueError, match=rf'^{path}.*expected .*{wanted}'):
        read_regions(path, (6, 5))
    if write is not as_json:
        with pytest.raises(ValueError, match='turned: check the EXIF'):
            read_regions(path, SIZE[::-1])


def test_labels_in_a_folder_of_masks_are_refused(tmp_path):
    save_png(tmp_path / 'a/0.png', np.arange(20, dtype=np.uint8).reshape(SIZE))
    with pytest.raises(
        ValueError, match=r'0\.png: expected one mask, .*named .*a\.png'
    ):
        read_regions(tmp_path / 'a', SIZE)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', 'broken JSON'),
        ('{"image": {}}', 'expected a list of masks'),
        ('[3]', r'mask 0: expected \{"segmentation": ...\}, found 3'),
        ('[{"area": 3}]', r'mask 0: expected \{"segmentation": ...\}'),
        ('[{"segmentation": {"counts": [3]}}]', 'mask 0: expected run lengths of 4x5'),
        ('[{"segmentation": {"size": 3, "counts": [20]}}]', 'mask 0: expected'),
    ],
)
def test_other_json_is_named(tmp_path, text, message):
    path = tmp_path / 'a.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=rf'a\.json.*{message}'):
        read_regions(path, SIZE)


def test_other_numpy_files_are_named(tmp_path):
    path = tmp_path / 'a.npz'
    cases = [
        (dict(a=np.zeros(SIZE, int), b=np.zeros(SIZE, int)), 'expected one array'),
        (dict(a=np.zeros(3, int)), r'found the shapes \(3,\)'),
        (dict(a=np.zeros((2, 3, *SIZE), int)), r'found the shapes \(2, 3, 4, 5\)'),
        ({}, 'found the shapes of none'),
        (dict(a=np.zeros(SIZE)), 'found float64'),
        (dict(a=np.array([{}], object)), 'unreadable NumPy file'),
    ]
    for arrays, message in cases:
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=rf'a\.npz: .*{message}'):
            read_regions(path, SIZE)
    path.write_bytes(b'PK\x03\x04broken')
    with pytest.raises(ValueError, match='unreadable NumPy file'):
        read_regions(path, SIZE)


def test_colors_are_refused(tmp_path):
    path = save_png(tmp_path / 'a.png', np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(ValueError, match=r'a\.png: expected a palette or gray'):
        read_regions(path, SIZE)

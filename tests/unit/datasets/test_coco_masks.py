import numpy as np
import pytest

from mmseg_wsss.datasets.coco_masks import decode_mask

# Written by pycocotools 2.0.11 for the mask of `test_text_of_the_coco_api`.
TEXT = 'c<k0=0Q3GXM' + '0' * 59 + 'd5'


def run_lengths(mask: np.ndarray) -> list[int]:
    """Count the runs down the columns, pixel by pixel."""
    counts, value = [0], 0
    for pixel in mask.T.flatten().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def text_of(counts: list[int]) -> str:
    """Write run lengths as text, number by number, as the COCO API does."""
    text = ''
    for index, count in enumerate(counts):
        number = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits, number = number & 31, number >> 5
            more = number != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
    return text


@pytest.mark.parametrize('density', [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize('size', [(1, 1), (7, 5), (40, 90)])
def test_both_forms_of_run_lengths(size, density):
    mask = (np.random.default_rng(0).random(size) < density).astype(np.uint8)
    counts = run_lengths(mask)
    for form in (counts, text_of(counts)):
        found = decode_mask({'size': list(size), 'counts': form}, *size)
        assert found.dtype == np.uint8
        assert np.array_equal(found, mask)


def test_text_of_the_coco_api():
    mask = np.zeros((40, 50), np.uint8)
    mask[3:30, 10:12] = mask[20:38, 14:45] = 1
    assert text_of(run_lengths(mask)) == TEXT
    assert np.array_equal(decode_mask({'counts': TEXT}, 40, 50), mask)


def test_polygons_are_filled_at_pixel_centers():
    """A circle of radius 20.3 that the image cuts."""
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    outline = np.stack([8.3 + 20.3 * np.cos(angles), 30.1 + 20.3 * np.sin(angles)], 1)
    found = decode_mask([outline.ravel().tolist()], 60, 50)
    y, x = np.mgrid[:60, :50] + 0.5
    distance = np.hypot(x - 8.3, y - 30.1)
    assert (found[distance < 20] == 1).all()
    assert (found[distance > 20.6] == 0).all()
    outside = (outline + np.array([100, 0])).ravel().tolist()
    assert not decode_mask([outside], 60, 50).any()
    assert not decode_mask([], 60, 50).any()


@pytest.mark.parametrize(
    ('segmentation', 'message'),
    [
        ({'counts': [3, 4]}, 'of 2x3 pixels, found .* 7 pixels'),
        ({'size': [3, 2], 'counts': [6]}, r'2x3 pixels, found the size \[3, 2\]'),
        ({'counts': [7, -1]}, 'whole numbers from 0'),
        ({'counts': [1.5, 4.5]}, 'whole numbers from 0'),
        ({'counts': '1P'}, "broken '1P'"),  # ends within a number
        ({'counts': '\x7f'}, 'broken'),
        ({'counts': 'o' * 20 + '1'}, 'broken'),  # 105 bits
        ({'counts': ''}, 'found the size .* and 0 pixels'),
        ({'area': 3}, r"found \{'area': 3\}"),
        ('abc', 'found abc'),
        ([[0, 0, 1]], r'found \[0, 0, 1\]'),
        ([['a', 'b']], r"found \['a', 'b'\]"),
        ([[0, 0, float('nan'), 2, 3, 3]], 'finite coordinates'),
    ],
)
def test_other_content_is_named(segmentation, message):
    with pytest.raises(ValueError, match=message):
        decode_mask(segmentation, 2, 3)

"""Palettes of masks: the same in every file, or made for one file."""

import numpy as np
import pytest
from PIL import Image

from mmseg_wsss.datasets.checks.check_files import check_files
from mmseg_wsss.datasets.checks.split import Split, SplitImage
from mmseg_wsss.datasets.label_maps import LabelRule, voc_palette

CITY = [[128, 64, 128], [244, 35, 232], [70, 70, 70]]


@pytest.mark.parametrize(
    ('labels', 'palette', 'wrong'),
    [
        ([0, 1, 2, 255], voc_palette(256), False),
        ([0, 1, 2], CITY, False),  # no background; unused colors are black
        ([0, 1, 255], [*CITY, *[[0, 0, 0]] * 253], False),  # 255 is black, too
        ([0, 1], [[128, 0, 0], [0, 0, 0]], True),
        ([0, 2], [[128, 0, 0], [0, 128, 0], [0, 0, 0]], True),
        ([0, 1], None, False),
    ],
)
def test_black_that_is_not_label_zero(tmp_path, labels, palette, wrong):
    image, mask = tmp_path / 'a.jpg', tmp_path / 'a.png'
    Image.new('RGB', (8, 6)).save(image)
    drawn = Image.fromarray(np.resize(np.array(labels, np.uint8), (6, 8)))
    if palette is not None:
        drawn.putpalette([value for color in palette for value in color])
    drawn.save(mask)
    split = Split('train', [], rule=LabelRule(2))
    _, _, findings = check_files(SplitImage('a', str(image), str(mask)), split)
    assert [f.kind for f in findings] == ['palette of the mask'] * wrong

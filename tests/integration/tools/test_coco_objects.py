"""Conversion of COCO objects to label maps, on annotations checked by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from tool_files import status

from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.splits.split_lists import read_list


@pytest.fixture
def converter(tool):
    return tool('dataset_converters/coco_objects')


def box(top: int, left: int, bottom: int, right: int) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Annotations of an image with three objects and one without; ids with gaps."""
    objects = [
        (9, 24, [box(1, 1, 5, 7)]),
        (2, 4, [box(2, 2, 4, 4)]),
        # Column by column: 24 pixels of nothing, then the fifth column, and the rest.
        (5, 6, {'size': [6, 10], 'counts': [48, 6, 6]}),
    ]
    content = {
        'images': [
            {'id': 7, 'file_name': '000000000007.jpg', 'height': 6, 'width': 10},
            {'id': 8, 'file_name': '000000000008.jpg', 'height': 3, 'width': 2},
        ],
        'categories': [{'id': i, 'name': f'c{i}'} for i in (9, 2, 5)],
        'annotations': [
            {
                'image_id': 7,
                'category_id': c,
                'area': area,
                'segmentation': segmentation,
            }
            for c, area, segmentation in reversed(objects)
        ],
    }
    (tmp_path / 'annotations').mkdir()
    path = tmp_path / 'annotations/instances_val2017.json'
    path.write_text(json.dumps(content))
    return tmp_path


def command(coco: Path, *more: str) -> list[str]:
    return [str(coco), '--parts', 'val2017', '--workers', '0', *more]


def test_small_objects_cover_large_ones_and_labels_have_no_gaps(converter, coco):
    assert converter.main(command(coco)) == 0
    expected = np.zeros((6, 10), int)
    expected[1:5, 1:7] = 3
    expected[2:4, 2:4] = 1
    expected[:, 8] = 2
    found = read_label_map(coco / 'masks/val2017/000000000007.png')
    np.testing.assert_array_equal(found, expected)
    assert (
        read_label_map(coco / 'masks/val2017/000000000008.png').tolist()
        == [[0] * 2] * 3
    )
    assert read_list(coco / 'val2017.txt') == ['000000000007', '000000000008']
    assert read_list(coco / 'val2017_objects.txt') == ['000000000007']


def test_interrupted_conversion_resumes(converter, coco):
    assert converter.main(command(coco)) == 0
    path = coco / 'masks/val2017/000000000008.png'
    path.write_bytes(b'kept')
    assert converter.main(command(coco)) == 0
    assert path.read_bytes() == b'kept'
    assert converter.main(command(coco, '--overwrite')) == 0
    assert path.read_bytes() != b'kept'


@pytest.mark.parametrize(
    ('counts', 'message'),
    [
        ('a;b', 'found a broken'),
        ([3, 4], 'of 6x10 pixels, found the size [6, 10] and 7'),
    ],
)
def test_unusable_run_lengths_are_named(converter, coco, capsys, counts, message):
    path = coco / 'annotations/instances_val2017.json'
    content = json.loads(path.read_text())
    content['annotations'][0]['segmentation'] = {'counts': counts}
    path.write_text(json.dumps(content))
    assert status(converter.main, command(coco)) == 2
    shown = capsys.readouterr().err
    assert '000000000007: expected run lengths' in shown
    assert message in shown
    assert not (coco / 'val2017.txt').exists()


@pytest.mark.parametrize('text', ['{', '[]', '{"images": []}'])
def test_other_files_are_named(converter, coco, capsys, text):
    path = coco / 'annotations/instances_val2017.json'
    path.write_text(text)
    assert status(converter.main, command(coco)) == 2
    assert f'{path}: not a file of COCO instances' in capsys.readouterr().err

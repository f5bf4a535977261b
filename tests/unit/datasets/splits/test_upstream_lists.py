"""Lines of published lists of images."""

import pytest

from mmseg_wsss.datasets.splits.upstream_lists import read_upstream_list

VOC, CITY = '2007_000032', 'train/aachen/aachen_000000_000019'
LINES = [
    ('voc', '2007_000032', VOC),
    ('voc', 'JPEGImages/2007_000032.jpg SegmentationClass/2007_000032.png', VOC),
    ('voc', '/JPEGImages/2007_000032.jpg\t/SegmentationClassAug/2007_000032.png', VOC),
    ('voc', 'JPEGImages/2007_000032.jpg None', VOC),
    ('cityscapes', CITY, CITY),
    (
        'cityscapes',
        'leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png '
        'gtFine/train/aachen/aachen_000000_000019_gtFine_labelTrainIds.png',
        CITY,
    ),
    (
        'cityscapes',
        'images/train/aachen_000000_000019.png\tlabels/train/aachen_000000_000019.png',
        CITY,
    ),
    ('cityscapes', 'aachen_000000_000019_leftImg8bit.png', CITY),
    (
        'cityscapes',
        'leftImg8bit/val/munster/munster_000000_000019_leftImg8bit.png None',
        'val/munster/munster_000000_000019',
    ),
    (
        'cityscapes',
        'val/munster/munster_000000_000019',
        'val/munster/munster_000000_000019',
    ),
    (
        'coco',
        'train2017/000000000009.jpg masks/000000000009.png',
        '000000000009',
    ),
    (
        'ade20k',
        'images/training/ADE_train_00000001.jpg '
        'annotations/training/ADE_train_00000001.png',
        'ADE_train_00000001',
    ),
]


@pytest.mark.parametrize(('dataset', 'line', 'name'), LINES)
def test_lines(tmp_path, dataset, line, name):
    path = tmp_path / 'labeled.txt'
    path.write_text(f'\ufeff{line}\r\n\r\n', encoding='utf-8')
    assert read_upstream_list(path, dataset) == [name]


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('JPEGImages/image.jpg', r":2: expected an image of voc.*'JPEGImages"),
        ('None None', ':2: expected an image'),
        ('2007_000032.jpg mask.png', ':2: expected an image'),
        (
            '2007_000032.jpg 2007_000033.png',
            ':2: expected one image and its mask',
        ),
        ('a/2007_000027.jpg', ':2: 2007_000027 is already listed in line 1'),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = tmp_path / 'labeled.txt'
    path.write_text(f'2007_000027\n{line}\n')
    with pytest.raises(ValueError, match=f'^{path}{message}'):
        read_upstream_list(path, 'voc')


def test_an_empty_list_is_named(tmp_path):
    path = tmp_path / 'labeled.txt'
    path.write_text('\n')
    with pytest.raises(ValueError, match=f'{path} lists no image'):
        read_upstream_list(path, 'voc')

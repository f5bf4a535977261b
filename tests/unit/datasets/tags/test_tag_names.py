"""Separators of tag files, and names that differ in suffix or Unicode form."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from mmseg_wsss.datasets import ImageFolder, ImageTags, WeakDataset
from mmseg_wsss.datasets.tags import TagError, tags_from_masks
from mmseg_wsss.datasets.tags.class_names import class_names

CLASSES = ('dog', 'cat', 'traffic light')
LOAD, PACK = {'type': 'LoadImageStrict'}, {'type': 'PackWeakInputs'}


@pytest.mark.parametrize(
    ('name', 'line', 'message'),
    [
        ('t.csv', 'a.jpg;dog', "found ';' and no comma"),
        ('t.csv', 'a;dog', "found ';' and no comma"),
        ('t.csv', 'a.jpg\tdog', r"found '\t' and no comma"),
        ('t.csv', 'a.jpg|dog', "found '|' and no comma"),
        ('t.csv', 'a.jpg dog', "found ' ' and no comma"),
        ('t.csv', 'a.jpg: dog', "found ':' and no comma"),
        ('t.csv', 'a.jpg,dog|cat', 'these are 2 tags'),
        ('t.csv', '"a.jpg","dog, cat"', 'these are 2 tags'),
        ('t.txt', 'a.jpg,dog', "found ','"),
        ('t.txt', 'a.jpg;dog', "found ';'"),
        ('t.txt', 'a.jpg, dog', "found ','"),
        ('t.txt', 'a.jpg: dog', "found ':'"),
        ('t.txt', 'a.jpg=dog', "found '='"),
        ('t.txt', 'a.jpg dog,cat', 'these are 2 tags'),
        ('t.json', '{"a.jpg": ["dog;cat"]}', 'these are 2 tags'),
    ],
)
def test_other_separators_are_named(tmp_path, name, line, message):
    """Also where images may have no tags, and no file would be missed."""
    path = tmp_path / name
    path.write_text(line + '\n')
    with pytest.raises(TagError) as error:
        ImageTags.load(path, CLASSES, allow_empty=True)
    assert message in str(error.value)
    assert f'{path}:1: ' in str(error.value)


@pytest.mark.parametrize(
    ('name', 'line', 'image', 'labels'),
    [
        ('t.csv', 'a;b.jpg,dog', 'a;b', ['dog']),
        ('t.csv', 'a b.jpg,traffic light;cat', 'a b', ['cat', 'traffic light']),
        ('t.csv', 'a.jpg,', 'a', []),
        ('t.csv', 'a.jpg', 'a', []),
        ('t.txt', 'a b.jpg\ttraffic light', 'a b', ['traffic light']),
        ('t.txt', 'x/a.jpg dog', 'x/a', ['dog']),
        ('t.txt', 'a.jpg', 'a', []),
    ],
)
def test_valid_lines_stay_valid(tmp_path, name, line, image, labels):
    path = tmp_path / name
    path.write_text(line + '\n')
    tags = ImageTags.load(path, CLASSES, allow_empty=True)
    assert (tags.names, tags.labels(image)) == ((image,), labels)


@pytest.mark.parametrize('suffix', ['json', 'csv', 'txt'])
def test_names_with_two_suffixes(tmp_path, suffix):
    """Tags derived from masks, written, and read again."""
    for part in ('img', 'ann'):
        (tmp_path / part).mkdir()
    Image.new('RGB', (4, 4)).save(tmp_path / 'img/scan.tif.png')
    Image.new('L', (4, 4), 2).save(tmp_path / 'ann/scan.tif.png')
    path = tmp_path / f'tags.{suffix}'
    tags_from_masks(tmp_path / 'ann', CLASSES, images=['scan.tif']).save(path)
    folder = ImageFolder(str(tmp_path / 'img'), CLASSES)
    dataset = WeakDataset(folder, [LOAD, PACK], {'path': str(path)})
    assert dataset[0]['data_samples'].gt_tags.label.tolist() == [0, 1, 0]
    assert dataset.name(0) == 'scan.tif'  # the name of exported files


@pytest.mark.parametrize('forms', [('NFC', 'NFD'), ('NFD', 'NFC')])
def test_unicode_forms_of_names(tmp_path, forms):
    on_disk, written = (unicodedata.normalize(form, 'zoé/ü') for form in forms)
    (tmp_path / 'img' / on_disk).parent.mkdir(parents=True)
    Image.new('RGB', (4, 4)).save(tmp_path / 'img' / f'{on_disk}.png')
    path = tmp_path / 'tags.csv'
    path.write_text(f'{written}.png,cat\n', encoding='utf-8')
    folder = ImageFolder(str(tmp_path / 'img'), CLASSES)
    dataset = WeakDataset(folder, [LOAD, PACK], {'path': str(path)})
    assert dataset[0]['data_samples'].gt_tags.label.tolist() == [0, 1, 0]
    both = tmp_path / 'both.csv'
    both.write_text(f'{written},cat\n{on_disk},cat\n', encoding='utf-8')
    with pytest.raises(TagError, match=r'both\.csv:2: duplicate image'):
        ImageTags.load(both, CLASSES)


def test_wrong_lines_and_missing_lines_are_listed_together(tmp_path):
    for name in 'abc':
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / f'{name}.png')
    path = tmp_path / 'tags.csv'
    path.write_text('a,dgo\nb,cat\n')
    folder = ImageFolder(str(tmp_path), CLASSES)
    with pytest.raises(TagError) as error:
        WeakDataset(folder, [LOAD, PACK], {'path': str(path)})
    assert [text.partition(': ')[2] for text in error.value.problems] == [
        "image 'a': unknown tag 'dgo' (did you mean 'dog'?)",
        "no entry for image 'c'",
    ]


@pytest.mark.parametrize(
    'names', ['Background,dog', '_background_,dog', 'dog,background']
)
def test_background_in_class_names(names):
    with pytest.raises(ValueError, match='would count as a foreground class'):
        class_names(names)
    assert class_names('background,dog') == ('dog',)


def test_class_names_longer_than_a_file_name():
    names = [f'class number {i}' for i in range(80)]
    assert class_names(','.join(names)) == tuple(names)


def test_entries_below_another_folder_are_named(tmp_path):
    path = tmp_path / 't.json'
    path.write_text('{"images/a.jpg": ["cat"]}')
    tags = ImageTags.load(path, ('cat',))
    with pytest.raises(TagError, match=r"no entry for image 'a' \(there is 'images/a"):
        tags.check(['a'])


def test_the_background_is_no_tag(tmp_path):
    path = tmp_path / 't.json'
    path.write_text('{"a": ["Background"]}')
    with pytest.raises(TagError, match='the background is no tag: remove it'):
        ImageTags.load(path, ('cat',))

"""Tag files: formats, round trips, and all kinds of problems."""

import json
import os
import pickle

import numpy as np
import pytest
from tag_files import CLASSES, WANTED, as_dict, coco, problems, write

from mmseg_wsss.datasets.tags import (
    ImageTags,
    TagError,
)


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('t.json', '{"a.jpg": ["dog", "person"], "b": ["traffic light"]}'),
        ('t.csv', 'image,tags\na.jpg,dog;person\nb,traffic light\n'),
        ('t.csv', 'a, dog ; person;dog\r\n\r\n"b","traffic light"\r\n'),
        ('t.csv', '\ufeffa,dog;person\nb,traffic light'),
        ('t.csv', '\npicture,labels\na,dog;person\nb,traffic light\n'),
        ('t.txt', 'a dog person\n\nb.PNG\ttraffic light\n'),
        ('t.lst', 'a.jpg\tdog\tperson\r\nb\ttraffic light\r\n'),
    ],
)
def test_text_formats(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode('utf-8'))
    tags = ImageTags.load(path, CLASSES)
    assert as_dict(tags) == WANTED
    assert tags.names == ('a', 'b') and len(tags) == 2
    assert 'a' in tags and 'c' not in tags
    assert tags.vector('a').tolist() == [1, 1, 0]
    assert tags.vector('a').dtype == np.uint8
    assert tags.counts() == {'dog': 1, 'person': 1, 'traffic light': 1}


def test_annotations_are_converted_first(tmp_path):
    with pytest.raises(ValueError, match=r'is a folder.*image_tags\.py --voc-xml'):
        ImageTags.load(tmp_path, CLASSES)
    with pytest.raises(ValueError, match=r'a COCO file.*image_tags\.py --coco'):
        ImageTags.load(coco(tmp_path / 'instances.json'), CLASSES)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        ImageTags.load(tmp_path / 'nowhere.json', CLASSES)


@pytest.mark.parametrize('name', ['t.json', 't.csv', 't.txt', 't.lst'])
def test_round_trip(tmp_path, name):
    indices = {'a': [0, 2], 'sub/my image, no. 2': [1], 'ä "b"': [2], 'no tag': []}
    tags = ImageTags(indices, CLASSES)
    tags.save(tmp_path / name)
    with pytest.warns(UserWarning, match='1 of 4 images have no tag: no tag'):
        again = ImageTags.load(tmp_path / name, CLASSES, allow_empty=True)
    assert as_dict(again) == as_dict(tags)
    assert again.names == tags.names
    assert os.listdir(tmp_path) == [name]


def test_save_refuses_names_with_separators(tmp_path):
    tags = ImageTags({'a': [0]}, ['dog;cat'])
    with pytest.raises(ValueError, match="'dog;cat' of image 'a' contains ';'"):
        tags.save(tmp_path / 't.csv')
    with pytest.raises(ValueError, match=r'\.npy'):
        tags.save(tmp_path / 't.npy')
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ('name', 'lines'),
    [
        (
            't.json',
            [
                '{"a": ["dgo"],',
                ' "b": ["dog", "cat", "dog"],',
                ' "b.jpg": ["dog"],',
                ' "x": ["dog"],',
                ' "e": [], "f": "dog"}',
            ],
        ),
        ('t.csv', ['a,dgo', 'b,dog;cat;dog', 'b.jpg,dog', 'x,dog', 'e,', 'f,dog,dog']),
        ('t.txt', ['a dgo', 'b dog cat dog', 'b.jpg dog', 'x dog', 'e', '']),
    ],
)
def test_all_problems_at_once_with_file_and_line(tmp_path, name, lines):
    path = write(tmp_path / name, '\n'.join(lines))
    images = ['a', 'b', 'e', 'f', 'missing']
    found = problems(ImageTags.load, path, CLASSES, images=images)
    wanted = [
        f"{path}:1: image 'a': unknown tag 'dgo' (did you mean 'dog'?)",
        f"{path}:2: image 'b': unknown tag 'cat'",
        f"{path}:3: duplicate image 'b', first at {path}:2",
        f"{path}:5: image 'e': no tag (allow_empty=True accepts images without tags)",
        f"{path}: no entry for image 'missing'",
    ]
    for text in wanted:
        assert text in found
    form = {
        't.json': f"{path}:5: expected a list of tags for image 'f'",
        't.csv': f'{path}:6: expected "image,tag1;tag2", found 3 columns',
    }
    assert form.get(name, wanted[0]) in found
    assert not any("'x'" in text for text in found)  # of another list


def test_repeated_json_key_is_found(tmp_path):
    path = write(tmp_path / 't.json', '{"a": ["dog"],\n\n"b": ["dog"],\n"a": ["dog"]}')
    found = problems(ImageTags.load, path, CLASSES)
    assert found == [f"{path}:4: duplicate image 'a', first at {path}:1"]


def test_json_lines_are_right_if_strings_contain_json(tmp_path):
    classes = ['", "x": ', 'a\\"b":']
    names = ['q": ["', 'tail\\', 'p']
    text = ',\n'.join(f'{json.dumps(n)}: {json.dumps(classes)}' for n in names)
    path = write(tmp_path / 't.json', '{' + text + ',\n"z": ["nope"]}')
    found = problems(ImageTags.load, path, classes)
    assert found == [f"{path}:4: image 'z': unknown tag 'nope'"]


def test_problems_are_shortened_in_the_text_only():
    tags = ImageTags({}, CLASSES, 'nowhere')
    with pytest.raises(TagError) as caught:
        tags.check(str(number) for number in range(500))
    assert len(caught.value.problems) == 500
    assert '... and 300 more' in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_images_without_tags_are_allowed_by_option(tmp_path):
    path = write(tmp_path / 't.csv', 'a,dog\nb,\nc\n')
    found = problems(ImageTags.load, path, CLASSES)
    hint = 'no tag (allow_empty=True accepts images without tags)'
    assert found == [
        f"{path}:2: image 'b': {hint}",
        f"{path}:3: image 'c': {hint}",
    ]
    with pytest.warns(UserWarning, match='2 of 3 images have no tag: b, c'):
        tags = ImageTags.load(path, CLASSES, allow_empty=True)
    assert tags.vector('b').tolist() == [0, 0, 0]


def test_numbers_need_a_base(tmp_path):
    path = write(tmp_path / 't.json', '{"a": [0], "b": ["2", 2], "c": ["dog"]}')
    found = problems(ImageTags.load, path, CLASSES)
    assert len([text for text in found if 'is a number' in text]) == 3
    tags = ImageTags.load(path, CLASSES, index_base=0)
    assert as_dict(tags) == {'a': ['dog'], 'b': ['traffic light'], 'c': ['dog']}
    found = problems(ImageTags.load, path, CLASSES, index_base=1)
    assert found == [f"{path}:1: image 'a': tag 0 outside [1, 4)"]
    path = write(tmp_path / 'one.json', '{"a": [1], "b": ["3", 3], "c": ["dog"]}')
    tags = ImageTags.load(path, CLASSES, index_base=1)
    assert as_dict(tags) == {'a': ['dog'], 'b': ['traffic light'], 'c': ['dog']}
    with pytest.raises(ValueError, match='index_base must be'):
        ImageTags.load(path, CLASSES, index_base=2)


def test_class_names_that_are_numbers_are_names(tmp_path):
    path = write(tmp_path / 't.csv', 'a,7\n')
    assert ImageTags.load(path, ['3', '7']).vector('a').tolist() == [0, 1]


def test_check_and_vector_name_image_and_location(tmp_path):
    path = write(tmp_path / 't.csv', 'a,dog\nb,person\n')
    tags = ImageTags.load(path, CLASSES)
    tags.check(['a'])
    assert problems(tags.check, ['a', 'z']) == [f"{path}: no entry for image 'z'"]
    assert tags.location('b') == f'{path}:2'
    with pytest.raises(KeyError, match=r"image 'z' in .*t\.csv"):
        tags.vector('z')


def test_vector_is_a_copy():
    tags = ImageTags({'a': [1]}, CLASSES)
    tags.vector('a')[:] = 7
    assert tags.vector('a').tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ('tags', 'classes', 'message'),
    [
        ({'a': [3]}, CLASSES, r"tag 3 of image 'a' is outside \[0, 3\)"),
        ({'a': [-1]}, CLASSES, r"tag -1 of image 'a' is outside \[0, 3\)"),
        ({}, ['background', 'dog'], 'leave out "background"'),
        ({}, ['dog', 'cat', 'dog'], r"repeated class names: \['dog'\]"),
        ({}, [], 'must be a list of names'),
        ({}, 'dog', 'must be a list of names'),
    ],
)
def test_constructor_arguments(tags, classes, message):
    with pytest.raises(ValueError, match=message):
        ImageTags(tags, classes)


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('t.json', '{"a": ["dog"]', r't\.json:1: broken JSON'),
        ('t.json', '{"a":\n["dog"],\n}', r't\.json:3: broken JSON'),
        ('t.json', '["a"]', r't\.json: expected an object .* found list'),
        ('t.json', '[' * 100000, r't\.json.*broken JSON'),
        ('t.json', '{"a": [' + '1' * 5000 + ']}', r't\.json.*broken JSON'),
        ('t.csv', 'a,dog\n"b,dog\n', r't\.csv:2: broken CSV'),
        ('t.xls', 'a', r"expected one of the suffixes \.json.*got '\.xls'"),
    ],
)
def test_broken_files(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message):
        ImageTags.load(write(tmp_path / name, text), CLASSES)

"""Image tags: all sources and all kinds of problems."""

import json
import os
import pickle
from functools import partial

import numpy as np
import pytest
from PIL import Image
from tag_files import CLASSES, VOC, WANTED, as_dict, coco, problems, voc_xml, write

from mmseg_wsss.datasets.label_maps import LabelRule
from mmseg_wsss.datasets.tags import (
    ImageTags,
    TagError,
    tags_from_coco,
    tags_from_masks,
    tags_from_voc_xml,
)


def save_mask(path, labels, mode='L'):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(labels, dtype=np.uint8))
    if mode == 'P':
        image.putpalette([value % 256 for value in range(768)])
    image.save(path)
    return path


# Valid files


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


def test_coco_with_ids_in_any_order(tmp_path):
    path = coco(tmp_path / 'instances.json')
    assert as_dict(tags_from_coco(path, CLASSES)) == WANTED
    assert tags_from_coco(path).classes == ('dog', 'person', 'traffic light')
    only_b = tags_from_coco(path, CLASSES, images=['b'])
    assert as_dict(only_b) == {'b': ['traffic light']}


def test_coco_categories_outside_the_classes(tmp_path):
    path = coco(tmp_path / 'c.json')
    found = problems(tags_from_coco, path, ['dog', 'traffic light'])
    assert len(found) == 1 and "unknown tag 'person'" in found[0]
    assert 'image 7' in found[0]
    tags = tags_from_coco(path, ['dog', 'traffic light'], skip_unknown=True)
    assert as_dict(tags) == {'a': ['dog'], 'b': ['traffic light']}


def test_coco_with_dangling_references(tmp_path):
    annotations = [
        {'id': 4, 'image_id': 7, 'category_id': 1},
        {'id': 5, 'image_id': 9, 'category_id': 1},
        {'id': 6, 'image_id': 8, 'category_id': 99},
        {'id': 7, 'image_id': 8, 'category_id': 10},
    ]
    path = coco(tmp_path / 'c.json', annotations=annotations)
    found = problems(tags_from_coco, path, CLASSES)
    assert len(found) == 2
    assert 'annotation 5: unknown image_id 9' in found[0]
    assert 'annotation 6: unknown category_id 99' in found[1]


@pytest.mark.parametrize('images', [[{'id': 7}], [7], [{'file_name': 'a.jpg'}]])
def test_coco_with_broken_entries_is_named(tmp_path, images):
    path = coco(tmp_path / 'c.json', images=images)
    with pytest.raises(ValueError, match=r'c\.json: not a COCO file'):
        tags_from_coco(path, CLASSES)


def test_voc_xml(tmp_path):
    voc_xml(tmp_path, 'a', [('person', 0), ('dog', 1), ('person', 0)])
    voc_xml(tmp_path, 'b', [('traffic light', 0)])
    assert as_dict(tags_from_voc_xml(tmp_path, CLASSES)) == WANTED
    easy = tags_from_voc_xml(tmp_path, CLASSES, skip_difficult=True)
    assert as_dict(easy) == {'a': ['person'], 'b': ['traffic light']}
    some = tags_from_voc_xml(tmp_path, CLASSES, images=['b'])
    assert some.names == ('b',)
    found = problems(tags_from_voc_xml, tmp_path, CLASSES, images=['b', 'z'])
    assert found == [f"{tmp_path}: no entry for image 'z'"]


def test_voc_xml_with_utf16_and_nameless_object(tmp_path):
    text = '<?xml version="1.0" encoding="utf-16"?><annotation><object><name>dog</name>'
    (tmp_path / 'a.xml').write_bytes((text + '</object></annotation>').encode('utf-16'))
    assert as_dict(tags_from_voc_xml(tmp_path, CLASSES)) == {'a': ['dog']}
    write(tmp_path / 'b.xml', '<annotation><object/></annotation>')
    found = problems(tags_from_voc_xml, tmp_path, CLASSES)
    assert any('b.xml: object 1 has no name' in text for text in found)


@pytest.mark.parametrize('kind', ['xml', 'coco'])
def test_images_of_other_splits_may_lack_tags(tmp_path, kind):
    """Images 0 to 2 contain a cat, image 3 only one that is marked difficult."""
    if kind == 'coco':
        images = [{'id': i, 'file_name': f'{i}.jpg'} for i in range(4)]
        annotations = [{'image_id': i, 'category_id': 8} for i in range(3)]
        categories = [{'id': 8, 'name': 'cat'}]
        path = coco(
            tmp_path / 'c.json',
            images=images,
            annotations=annotations,
            categories=categories,
        )
        load = partial(tags_from_coco, path, ['cat'])
    else:
        for i in range(4):
            voc_xml(tmp_path, str(i), [('cat', i // 3)])
        load = partial(tags_from_voc_xml, tmp_path, ['cat'], skip_difficult=True)
    tags = load(images=['0', '1', '2'])
    assert as_dict(tags) == {'0': ['cat'], '1': ['cat'], '2': ['cat']}
    assert "image '3': no tag" in problems(load, images=['0', '3'])[0]


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
    found = '\n'.join(problems(tags_from_masks, tmp_path, CLASSES, workers=2))
    assert 'label.png: labels [4, 99] outside [0, 3] and not 255' in found
    assert 'color.png: expected a palette or gray label map' in found
    assert 'cut.png: unreadable label map' in found
    assert 'text.png: unreadable label map' in found
    assert 'good.png' not in found


def test_annotations_are_converted_first(tmp_path):
    with pytest.raises(ValueError, match=r'is a folder.*image_tags\.py --voc-xml'):
        ImageTags.load(tmp_path, CLASSES)
    with pytest.raises(ValueError, match=r'a COCO file.*image_tags\.py --coco'):
        ImageTags.load(coco(tmp_path / 'instances.json'), CLASSES)


def test_missing_sources_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        tags_from_masks(tmp_path / 'nowhere', CLASSES)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        ImageTags.load(tmp_path / 'nowhere.json', CLASSES)


# Real images


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


# Round trips


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


# Problems


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
        f"{path}:4: unknown image 'x'",
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

"""Tags from annotations of objects: COCO JSON and VOC XML."""

from functools import partial

import pytest
from tag_files import CLASSES, WANTED, as_dict, coco, problems, voc_xml, write

from mmseg_wsss.datasets.tags import (
    tags_from_coco,
    tags_from_voc_xml,
)


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


def test_coco_of_merged_files_with_equal_ids(tmp_path):
    images = [{'id': 7, 'file_name': 'a.jpg'}, {'id': 7, 'file_name': 'b.jpg'}]
    path = coco(tmp_path / 'c.json', images=images, annotations=[])
    found = problems(tags_from_coco, path, CLASSES)
    assert 'images: the id 7 occurs more than once' in found[0]


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

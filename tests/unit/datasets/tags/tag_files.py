"""Tag files and annotations for the tests of image tags."""

import json

import pytest
from mmseg.datasets import PascalVOCDataset

from mmseg_wsss.datasets.tags import TagError

CLASSES = ['dog', 'person', 'traffic light']
VOC = PascalVOCDataset.METAINFO['classes'][1:]
WANTED = {'a': ['dog', 'person'], 'b': ['traffic light']}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
    return path


def as_dict(tags):
    return {name: tags.labels(name) for name in tags.names}


def problems(function, *args, **kwargs):
    with pytest.raises(TagError) as caught:
        function(*args, **kwargs)
    return caught.value.problems


def coco(path, **changes):
    content = {
        'images': [{'id': 7, 'file_name': 'a.jpg'}, {'id': 8, 'file_name': 'b.jpg'}],
        'categories': [
            {'id': 10, 'name': 'traffic light'},
            {'id': 1, 'name': 'dog'},
            {'id': 2, 'name': 'person'},
        ],
        'annotations': [
            {'id': 0, 'image_id': 7, 'category_id': 2},
            {'id': 1, 'image_id': 7, 'category_id': 1},
            {'id': 2, 'image_id': 7, 'category_id': 2},
            {'id': 3, 'image_id': 8, 'category_id': 10},
        ],
        **changes,
    }
    return write(path, json.dumps(content))


def voc_xml(folder, name, objects):
    things = ''.join(
        f'<object><name>{thing}</name><difficult>{hard}</difficult>'
        '<part><name>head</name></part></object>'
        for thing, hard in objects
    )
    return write(folder / f'{name}.xml', f'<annotation>{things}</annotation>')

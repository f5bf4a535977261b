"""Image tags from hostile files: no code runs, no other file is read."""

import json
import os
import pickle

import numpy as np
import pytest
from tag_files import CLASSES, problems, voc_xml, write

from mmseg_wsss.datasets.tags import ImageTags, tags_from_voc_xml
from mmseg_wsss.datasets.tags.records import image_id


class _Payload:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    'name', ['t.npy', 't.npz', 't.pkl', 't.pth', 't.json', 't.csv']
)
@pytest.mark.parametrize('writer', ['numpy', 'pickle'])
def test_pickles_are_refused_without_unpickling(tmp_path, name, writer):
    mark = tmp_path / 'executed'
    path = tmp_path / name
    with open(path, 'wb') as file:
        if writer == 'numpy':
            np.save(file, np.array([_Payload(mark)], dtype=object), allow_pickle=True)
        else:
            pickle.dump(_Payload(mark), file)
    with pytest.raises(ValueError, match='never read from NumPy or pickle') as caught:
        ImageTags.load(path, CLASSES)
    assert str(path) in str(caught.value)
    assert 'image_tags.py' in str(caught.value)
    assert not mark.exists()
    with open(path, 'rb') as file:  # the payload works
        np.load(file, allow_pickle=True) if writer == 'numpy' else pickle.load(file)
    assert mark.exists()


def test_conversion_command_of_the_message(tmp_path, monkeypatch):
    vectors = {'2007_000032': np.array([1.0, 0.0, 1.0]), 'b': np.array([0.0, 1.0, 0.0])}
    np.save(tmp_path / 'cls_labels.npy', vectors, allow_pickle=True)
    with pytest.raises(ValueError, match='never read') as caught:
        ImageTags.load(tmp_path / 'cls_labels.npy', CLASSES)
    command = str(caught.value).split('python -c "')[1].split('" and load')[0]
    monkeypatch.chdir(tmp_path)
    exec(command)
    tags = ImageTags.load('tags.json', CLASSES, index_base=0)
    assert tags.labels('2007_000032') == ['dog', 'traffic light']
    assert tags.labels('b') == ['person']


BOMB = (
    '<?xml version="1.0" encoding="{0}"?><!DOCTYPE a [<!ENTITY a "dog">'
    '<!ENTITY b "&a;&a;&a;&a;">]><annotation><object><name>&b;</name></object>'
    '</annotation>'
)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16'])
def test_xml_bomb_is_refused(tmp_path, encoding):
    text = BOMB.format(encoding)
    (tmp_path / 'a.xml').write_bytes(text.encode(encoding))
    voc_xml(tmp_path, 'b', [('dog', 0)])
    found = problems(tags_from_voc_xml, tmp_path, CLASSES)
    assert len(found) == 1
    assert 'a.xml:1: a DOCTYPE is not accepted' in found[0]


def test_xml_with_external_entity_reads_no_file(tmp_path):
    secret = write(tmp_path / 'secret.txt', 'dog')
    text = (
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>'
        '<annotation><object><name>&x;</name></object></annotation>'
    )
    write(tmp_path / 'xml' / 'a.xml', text)
    found = problems(tags_from_voc_xml, tmp_path / 'xml', CLASSES)
    assert 'a DOCTYPE is not accepted' in found[0]


def test_broken_xml_is_named_with_its_line(tmp_path):
    write(tmp_path / 'a.xml', '<annotation>\n<object>\n</annotation>')
    found = problems(tags_from_voc_xml, tmp_path, CLASSES)
    assert len(found) == 1 and f'{tmp_path / "a.xml"}:3: broken XML' in found[0]


@pytest.mark.parametrize(
    'name', ['../../etc/x', '/etc/x', 'a/../../x', '..\\x', 'C:\\x', 'C:/x']
)
def test_images_outside_the_data_root_are_refused(tmp_path, name):
    path = write(tmp_path / 't.json', json.dumps({'a': ['dog'], name: ['dog']}))
    found = problems(ImageTags.load, path, CLASSES)
    assert found == [f'{path}:1: image {name!r} leaves the data root']


@pytest.mark.parametrize(
    ('name', 'wanted'),
    [
        ('a.jpg', 'a'),
        ('a.JPEG', 'a'),
        ('img.v2', 'img.v2'),
        ('img.v2.png', 'img.v2'),
        (' ./x/a.bmp ', 'x/a'),
        ('x\\a.tif', 'x/a'),
        ('..a', '..a'),
    ],
)
def test_image_id(name, wanted):
    assert image_id(name) == wanted
    assert image_id(image_id(name)) == wanted


@pytest.mark.parametrize('name', ['', ' ', '.', 'a\nb', 'a\0b'])
def test_image_id_refuses_invalid_names(name):
    with pytest.raises(ValueError, match='not a valid image name'):
        image_id(name)

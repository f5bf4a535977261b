"""Start-up check and data check of a SemiDataset with image tags."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.methods import NUM_TAGS
from helpers.tiny import tiny_network
from PIL import Image
from tagged_parts import (
    CLASSES,
    PIPELINES,
    branches,
    check,
    config,
    part,
    write_parts,
)
from torch.utils.data import ConcatDataset

from mmseg_wsss.datasets import DeterministicDataset, SemiDataset
from mmseg_wsss.engine.startup_check.inputs import check_tags

CLASSIFIER = {'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_parts(tmp_path)


@pytest.mark.parametrize(
    ('first', 'tags', 'expected'),
    [
        ('back', '2,dog\n3,cow\n4,cat\n', "2 of 2 masks have the first class 'back'"),
        ('back', '2,dog;back\n3,cow\n4,cat\n', None),
        ('background', '2,dog\n3,cow\n4,cat\n', None),
    ],
)
def test_a_background_of_another_name_is_noticed(folder, first, tags, expected):
    (folder / 'tags.csv').write_text(tags)
    settings = config(folder)
    for name in PIPELINES:
        settings[name]['metainfo'] = {'classes': (first, *CLASSES[1:])}
    model = SimpleNamespace(train_cfg=SimpleNamespace(tag_filter={}), cam_head=None)
    found = [str(p) for p in check_tags(model, SemiDataset(**settings))]
    assert len(found) == (expected is not None)
    assert not found or expected in found[0]


@pytest.mark.parametrize('name', ['labeled', 'tagged', 'unlabeled'])
@pytest.mark.parametrize('classifier', [True, False])
def test_a_classifier_needs_the_weak_view_of_tagged_images(folder, name, classifier):
    settings = config(folder)
    settings[name] |= {'pipeline': [*PIPELINES[name][:-1], *branches('unsup_strong')]}
    train_cfg = SimpleNamespace(tag_filter={})
    model = SimpleNamespace(train_cfg=train_cfg, cam_head=classifier or None)
    found = [str(p) for p in check_tags(model, SemiDataset(**settings))]
    assert len(found) == (classifier and name == 'tagged')
    assert not found or "the tagged images has ['unsup_strong']; add unsu" in found[0]


@pytest.mark.parametrize(
    ('settings', 'tagged', 'expected'),
    [
        ({'semi_train_cfg': {'tag_filter': {}}}, False, 'semi_train_cfg.tag_filter'),
        ({'cam_head': CLASSIFIER}, False, 'cam_head'),
        ({'cam_head': CLASSIFIER}, True, None),
        ({}, False, None),
    ],
)
def test_tags_in_another_data_set(folder, settings, tagged, expected):
    parts = [
        DeterministicDataset(part(folder, name)) for name in ('labeled', 'unlabeled')
    ]
    if tagged:
        parts.append(SemiDataset(**config(folder)).tagged)
    model = tiny_network('MeanTeacherSegmentor', **settings)
    found = [str(p) for p in check_tags(model, ConcatDataset(parts))]
    assert len(found) == (expected is not None)
    assert not found or f'model.{expected} needs image tags' in found[0]


@pytest.mark.parametrize('name', ['MeanTeacherSegmentor', 'SupervisedSegmentor'])
@pytest.mark.parametrize('tags', ['both', 'labeled'])
def test_tags_of_labeled_images_filter_no_pseudo_labels(folder, name, tags):
    (folder / 'labeled.csv').write_text('0,cat\n1,dog\n')
    settings = {'labeled_tags': {'path': str(folder / 'labeled.csv')}}
    if tags == 'labeled':
        settings |= {'tagged': None, 'tags': None}
    filtered = {'tag_filter': {}, 'class_aware_ce': name == 'SupervisedSegmentor'}
    model = tiny_network(name, semi_train_cfg=filtered)
    found = [
        str(p) for p in check_tags(model, SemiDataset(**config(folder, **settings)))
    ]
    refused = tags == 'labeled' and name == 'MeanTeacherSegmentor'
    assert len(found) == refused
    assert not found or 'only the labeled images have tags; set tags=dict' in found[0]


def test_the_data_check_looks_at_all_parts(folder):
    assert check(folder) == []
    (folder / 'mask' / '6.png').unlink()  # of no interest
    (folder / 'tags.csv').write_text('2,dog\n4,cat\n9,cat\n')
    found = check(folder)
    assert any(text.startswith('image without tags') for text in found), found
    assert any("'9'" in text for text in found), found
    some = {'tagged': None, 'unlabeled': part(folder, 'unlabeled', 'rest')}
    found = check(folder, **some)
    assert len(found) == 1 and "'9'" in found[0]


def test_tags_of_labeled_images_in_a_folder_of_their_own(folder):
    (folder / 'own').mkdir()
    for name in '01':
        (folder / f'img/{name}.png').rename(folder / f'own/{name}.png')
    with (folder / 'tags.csv').open('a') as file:
        file.write('0,cat\n1,dog\n')
    prefix = {'img_path': 'own', 'seg_map_path': 'mask'}
    labeled = part(folder, 'labeled') | {'data_prefix': prefix}
    assert check(folder, labeled=labeled) == []


def test_16_bits_of_images_with_tags(folder):
    deep = np.full((4, 6), 1000, np.uint16)
    for name in (0, 2, 5):  # labeled, tagged, unlabeled
        Image.fromarray(deep).save(folder / f'img/{name}.png')
    assert check(folder) == []  # LoadImageStrict reports them itself
    settings = config(folder)
    for name in PIPELINES:
        settings[name]['pipeline'] = [{'type': 'LoadImageFromFile'}]
    found = check(folder, **{name: settings[name] for name in PIPELINES})
    assert [text.split(':')[0] for text in found] == ['depth of the image'] * 3


def test_names_that_parts_of_an_export_share(folder):
    (folder / 'tagged.txt').write_text('1\n2\n3\n4\n')
    with (folder / 'tags.csv').open('a') as file:
        file.write('1,dog\n')
    assert check(folder) == []
    (found,) = check(folder, export=True)
    assert found.startswith('repeated name: has the name of ')
    assert 'remove it from its folder or list' in found

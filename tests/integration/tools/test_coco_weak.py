"""COCO objects with tags: from an annotation file to training samples."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_wsss.datasets import COCOObjectsDataset, ImageTags
from mmseg_wsss.registry import DATASETS

CLASSES = COCOObjectsDataset.METAINFO['classes']
# COCO's ids of its 80 categories: 1 to 90 without these ten.
GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
IDS = [number for number in range(1, 91) if number not in GAPS]


def instance(image: int, category: int, box: tuple[int, int, int, int]) -> dict:
    left, top, right, bottom = box
    return {
        'id': 100 * image + category,
        'image_id': image,
        'category_id': category,
        'area': (right - left) * (bottom - top),
        'iscrowd': 0,
        'bbox': [left, top, right - left, bottom - top],
        'segmentation': [[left, top, right, top, right, bottom, left, bottom]],
    }


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Images of a person with a toothbrush, of nothing, and of a dog."""
    content = {
        'images': [
            {
                'id': i,
                'file_name': f'COCO_train2014_{i:012}.jpg',
                'height': 20,
                'width': 24,
            }
            for i in (1, 2, 3)
        ],
        'categories': [{'id': i, 'name': name} for i, name in zip(IDS, CLASSES[1:])],
        'annotations': [
            instance(1, 1, (2, 2, 20, 18)),
            instance(1, 90, (4, 4, 8, 6)),
            instance(3, 18, (0, 0, 10, 10)),
        ],
    }
    (tmp_path / 'annotations').mkdir()
    path = tmp_path / 'annotations/instances_train2014.json'
    path.write_text(json.dumps(content))
    (tmp_path / 'train2014').mkdir()
    for image in content['images']:
        Image.new('RGB', (24, 20), (90, 90, 90)).save(
            tmp_path / 'train2014' / image['file_name']
        )
    return tmp_path


def test_classes():
    assert len(CLASSES) == 81
    assert len(set(CLASSES)) == 81
    assert (CLASSES[0], CLASSES[1], CLASSES[17], CLASSES[80]) == (
        'background',
        'person',
        'dog',
        'toothbrush',
    )


def test_annotations_to_training_samples(tool, coco):
    objects = [str(coco), '--parts', 'train2014', '--workers', '0']
    assert tool('dataset_converters/coco_objects').main(objects) == 0
    mask = np.array(
        Image.open(coco / 'masks/train2014/COCO_train2014_000000000001.png')
    )
    assert np.unique(mask).tolist() == [0, 1, 80]
    assert (mask == 80).sum() == 8

    tags = coco / 'tags_train2014.json'
    source = str(coco / 'annotations/instances_train2014.json')
    assert (
        tool('dataset_converters/image_tags').main(
            [str(tags), '--coco', source, '--allow-empty']
        )
        == 0
    )
    dataset = DATASETS.build(
        {
            'type': 'WeakDataset',
            'dataset': {
                'type': 'COCOObjectsDataset',
                'data_root': str(coco),
                'data_prefix': {'img_path': 'train2014'},
                'ann_file': 'train2014.txt',
            },
            'tags': {'path': str(tags), 'allow_empty': True},
            'pipeline': [{'type': 'LoadImageStrict'}, {'type': 'PackWeakInputs'}],
        }
    )
    samples = [dataset[i]['data_samples'] for i in range(3)]
    present = [sample.gt_tags.label.nonzero().flatten().tolist() for sample in samples]
    assert present == [[0, 79], [], [16]]
    assert all(len(sample.gt_tags.label) == 80 for sample in samples)

    names = ImageTags.load(tags, CLASSES[1:], allow_empty=True)
    assert names.labels('COCO_train2014_000000000001') == ['person', 'toothbrush']

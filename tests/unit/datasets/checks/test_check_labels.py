"""The data check of whole splits: labels, classes, names and tags."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.datasets.checks.check_splits import check_splits
from mmseg_wsss.datasets.checks.from_config import splits_from_config
from mmseg_wsss.datasets.checks.from_folder import split_from_folder
from mmseg_wsss.datasets.checks.split import Report
from mmseg_wsss.datasets.label_maps import LabelRule
from mmseg_wsss.datasets.tags import ImageTags

CLASSES = ('cat', 'dog', 'cow')


def write(root: Path, masks: dict[str, list[int]]) -> Path:
    """Write an image and a mask for each entry: names, and labels of the mask."""
    rng = np.random.default_rng(0)
    for name, labels in masks.items():
        image, mask = root / 'images' / name, root / 'masks' / Path(name).stem
        image.parent.mkdir(parents=True, exist_ok=True)
        mask.parent.mkdir(exist_ok=True)
        img = rng.integers(0, 256, (2, len(labels), 3), dtype=np.uint8)
        Image.fromarray(img).save(image)
        pixels = np.array([labels, labels], np.uint8)
        Image.fromarray(pixels).save(mask.with_name(f'{mask.name}.png'))
    return root


def report(root: Path, tags: ImageTags | None = None, **options) -> Report:
    split = split_from_folder(
        'train',
        root / 'images',
        root / 'masks',
        rule=LabelRule(len(CLASSES)),
        tags=tags,
        classes=CLASSES,
        **options,
    )
    return check_splits([split])


def kinds(report: Report) -> list[str]:
    return [finding.kind for finding in report.findings]


def test_binary_masks_of_0_and_255(tmp_path):
    found = report(write(tmp_path, {'a.png': [0, 255], 'b.png': [0, 0]}))
    assert kinds(found) == ['labels of all masks']
    assert 'store class 1 as 1' in found.findings[0].message
    found = report(write(tmp_path, {'c.png': [0, 1]}))
    assert kinds(found) == []


def test_classes_in_no_mask_are_remarked(tmp_path):
    root = write(tmp_path, {'a.png': [0, 1], 'b.png': [0, 255]})
    found = report(root)
    assert kinds(found) == []
    assert [r.message for r in found.remarks] == ['in no mask of train: dog, cow']
    write(tmp_path, {'c.png': [3, 2]})
    assert report(root).remarks == []


def test_classes_in_no_tag_are_remarked(tmp_path):
    root = write(tmp_path, {'a.png': [1, 2, 3]})
    tags = ImageTags({'a': [0], 'elsewhere': [1, 2]}, CLASSES, 'tags.csv')
    found = report(root, tags)
    assert kinds(found) == ['tags without image']
    (remark,) = found.remarks
    assert remark.location == 'tags.csv'
    assert remark.message == 'no tag of an image of train: dog, cow'


def test_suffixes_of_the_folder_and_of_training_agree(tmp_path):
    names = ('a.JPG', 'b.png', 'c.TIF', '.d.png', 'e.jpeg')
    root = write(tmp_path, {name: [1, 2, 3] for name in names})
    (root / 'images/x.jpg').mkdir()
    found = report(root)
    assert kinds(found) == []
    assert found.images == {'train': 4}
    assert report(root, img_suffix='.jpg').images == {'train': 1}


def test_links_are_followed(tmp_path):
    root = write(tmp_path / 'data', {'a.png': [1, 2, 3]})
    other = write(tmp_path / 'other', {'b.png': [1, 2, 3]})
    (root / 'images/more').symlink_to(other / 'images')
    (root / 'masks/more').symlink_to(other / 'masks')
    found = report(root)
    assert (kinds(found), found.masks) == ([], {'train': 2})


def test_equal_names(tmp_path):
    root = write(tmp_path, {'same.jpg': [1, 2, 3], 'same.png': [1, 2, 3]})
    found = report(root)
    assert kinds(found) == ['repeated name']
    assert found.findings[0].location.endswith('same.png')
    assert 'same.jpg' in found.findings[0].message


def test_unicode_forms(tmp_path):
    composed = unicodedata.normalize('NFC', 'émile')
    other = unicodedata.normalize('NFD', 'émile')
    root = write(tmp_path, {f'{other}.png': [1, 2, 3]})
    found = report(root, ImageTags({composed: [0, 1, 2]}, CLASSES))
    assert kinds(found) == []
    (tmp_path / 'list.txt').write_text(f'{composed}\n', encoding='utf-8')
    found = report(root, split_file=tmp_path / 'list.txt', img_suffix='.png')
    assert kinds(found)[0] == 'missing image'
    assert 'of another suffix or Unicode form' in found.findings[0].message


def test_list_with_a_byte_order_mark(tmp_path):
    root = write(tmp_path, {'a.png': [1, 2, 3]})
    (tmp_path / 'list.txt').write_text('\ufeffa\n', encoding='utf-8')
    assert kinds(report(root, split_file=tmp_path / 'list.txt')) == []


def weak_config(root: Path, classes: tuple, tags: str) -> Config:
    (root / 'tags.csv').write_text(tags)
    inner = {
        'type': 'BaseSegDataset',
        'data_root': str(root),
        'data_prefix': {'img_path': 'images'},
        'img_suffix': '.png',
        'metainfo': {'classes': classes},
    }
    data = {
        'type': 'WeakDataset',
        'dataset': inner,
        'tags': {'path': str(root / 'tags.csv')},
    }
    return Config({'train_dataloader': {'dataset': data}})


@pytest.mark.parametrize('name', ['Background', '_background_'])
def test_spelling_of_the_background(tmp_path, name):
    root = write(tmp_path, {'a.png': [0, 1]})
    config = weak_config(root, (name, 'cat'), 'a,cat\n')
    (finding,) = splits_from_config(config)[1]
    assert finding.kind == 'classes'
    assert f"'{name}' would count as a foreground class" in finding.message


def test_all_problems_of_tags_are_listed_at_once(tmp_path):
    """Unknown tags, lines without an image and images without a line."""
    root = write(tmp_path, {'a.png': [0, 1], 'b.png': [0, 2], 'c.png': [1, 2]})
    text = 'a,cat\nb,cta\nghost,dog\n'
    config = weak_config(root, ('background', 'cat', 'dog'), text)
    splits, findings = splits_from_config(config)
    assert [f.location.rsplit('/')[-1] for f in findings] == ['tags.csv:2']
    found = [
        (f.kind, f.location.rsplit('/')[-1]) for f in check_splits(splits).findings
    ]
    assert found == [
        ('image without tags', 'c.png'),
        ('tags without image', 'tags.csv:3'),
    ]

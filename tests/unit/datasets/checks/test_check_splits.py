"""The data check finds every kind of damage, and nothing in intact data."""

import io
import json
import shutil

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.datasets.checks.check_files import image_size
from mmseg_wsss.datasets.checks.check_splits import check_splits
from mmseg_wsss.datasets.checks.from_config import splits_from_config
from mmseg_wsss.datasets.checks.from_folder import split_from_folder
from mmseg_wsss.datasets.checks.split import Split
from mmseg_wsss.datasets.label_maps import LabelRule
from mmseg_wsss.datasets.tags.image_tags import ImageTags

NAMES = ('a', 'b', 'c', 'd')
RULE = LabelRule(2)


@pytest.fixture
def root(tmp_path):
    """Two train and two val images of 20 x 12 pixels, with masks."""
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'SegmentationClass'):
        (tmp_path / folder).mkdir()
    for name in NAMES:
        pixels = rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'JPEGImages/{name}.jpg')
        labels = rng.integers(0, 3, (12, 20), dtype=np.uint8)
        labels[0] = 255
        Image.fromarray(labels).save(tmp_path / f'SegmentationClass/{name}.png')
    (tmp_path / 'train.txt').write_text('a\nb\n')
    (tmp_path / 'val.txt').write_text('c\nd\n')
    return tmp_path


def folders(root, tags=None):
    return [
        split_from_folder(
            name,
            root / 'JPEGImages',
            root / 'SegmentationClass',
            root / f'{name}.txt',
            rule=RULE,
            tags=tags,
        )
        for name in ('train', 'val')
    ]


def found(report):
    return [
        (finding.kind, finding.location.rsplit('/', 1)[-1])
        for finding in report.findings
    ]


def one(root, workers=0, tags=None):
    """Return the only finding."""
    findings = check_splits(folders(root, tags), workers).findings
    assert len(findings) == 1, findings
    return findings[0]


@pytest.mark.parametrize('workers', [0, 2])
def test_intact_data_set_has_no_findings(root, workers):
    tags = ImageTags({name: [0] for name in NAMES}, ['dog', 'cat'])
    report = check_splits(folders(root, tags), workers)
    assert report.findings == []
    assert report.images == report.masks == {'train': 2, 'val': 2}


@pytest.mark.parametrize('workers', [0, 2])
def test_truncated_image(root, workers):
    path = root / 'JPEGImages/b.jpg'
    path.write_bytes(path.read_bytes()[:-200])
    finding = one(root, workers)
    assert (finding.kind, finding.location) == ('unreadable image', str(path))
    assert 'truncated' in finding.message


@pytest.mark.parametrize('keep', [0, 10, 60, -12])
def test_truncated_png_images_and_masks(root, keep):
    image, mask = root / 'JPEGImages/a.jpg', root / 'SegmentationClass/d.png'
    stream = io.BytesIO()
    Image.open(image).save(stream, 'PNG')
    image.write_bytes(stream.getvalue()[:keep])
    mask.write_bytes(mask.read_bytes()[:keep])
    kinds = found(check_splits(folders(root)))
    assert kinds == [('unreadable image', 'a.jpg'), ('unreadable mask', 'd.png')]


def test_flipped_bit_in_a_png(root):
    mask = root / 'SegmentationClass/a.png'
    content = bytearray(mask.read_bytes())
    content[len(content) // 2] ^= 1
    mask.write_bytes(bytes(content))
    assert one(root).kind == 'unreadable mask'


def test_text_file_as_image(root):
    (root / 'JPEGImages/a.jpg').write_text('hello')
    assert 'cannot identify' in one(root).message


def test_mask_of_another_size(root):
    path = root / 'SegmentationClass/c.png'
    Image.new('L', (20, 13)).save(path)
    finding = one(root)
    assert (finding.kind, finding.location) == ('size of the mask', str(path))
    assert finding.message == 'mask 20x13, image 20x12'


def test_exif_orientation_counts_as_mmcv_applies_it(root):
    path = root / 'JPEGImages/a.jpg'
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).copy().save(path, exif=exif)
    assert image_size(path) == (20, 12)
    finding = one(root)
    assert finding.kind == 'size of the mask'
    assert 'EXIF' in finding.message
    mmcv = pytest.importorskip('mmcv')
    assert mmcv.imread(str(path)).shape == (20, 12, 3)


def test_labels_outside_the_range(root):
    path = root / 'SegmentationClass/a.png'
    labels = np.array(Image.open(path))
    labels[3, :3] = [3, 254, 255]
    Image.fromarray(labels).save(path)
    finding = one(root)
    assert (finding.kind, finding.location) == ('labels of the mask', str(path))
    assert finding.message == 'labels [3, 254] outside [0, 2] and not 255 (ignored)'


def test_color_mask(root):
    Image.new('RGB', (20, 12)).save(root / 'SegmentationClass/a.png')
    finding = one(root)
    assert finding.kind == 'unreadable mask'
    assert 'found mode RGB' in finding.message


def test_missing_files(root):
    (root / 'JPEGImages/a.jpg').unlink()
    (root / 'SegmentationClass/d.png').unlink()
    kinds = found(check_splits(folders(root)))
    assert kinds == [('missing image', 'a.jpg'), ('missing mask', 'd.png')]


def test_weakly_labeled_images_need_no_masks(root):
    (root / 'SegmentationClass/a.png').unlink()
    splits = folders(root)
    splits[0].masks_optional = True
    report = check_splits(splits)
    assert report.findings == []
    assert report.masks == {'train': 1, 'val': 2}


def test_overlap_of_splits_by_name_and_by_content(root):
    (root / 'train.txt').write_text('a\nb\nc\n')
    finding = one(root)
    assert finding.kind == 'overlap of splits'
    assert finding.message == 'in train and val'
    (root / 'train.txt').write_text('a\nb\n')
    shutil.copy(root / 'JPEGImages/a.jpg', root / 'JPEGImages/d.jpg')
    finding = one(root)
    assert (finding.kind, finding.location) == (
        'overlap of splits',
        str(root / 'JPEGImages/a.jpg'),
    )
    assert 'same content' in finding.message and 'd.jpg' in finding.message


def test_parts_of_one_split_may_overlap(root):
    train, _ = folders(root)
    assert check_splits([train, train]).findings == []


def test_repeated_image(root):
    (root / 'train.txt').write_text('a\nb\n\na\n')
    finding = one(root)
    assert (finding.kind, finding.message) == (
        'repeated image',
        'listed more than once in train',
    )


@pytest.mark.parametrize('entry', ['../../etc/x', '../secret', '/etc/x'])
def test_paths_that_leave_the_data_root_are_not_opened(root, entry, monkeypatch):
    (root / 'train.txt').write_text(f'a\n{entry}\n')
    shutil.copy(root / 'JPEGImages/b.jpg', root / 'secret.jpg')
    shutil.copy(root / 'SegmentationClass/b.png', root / 'secret.png')
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, 'open', lambda p: (opened.append(str(p)), real(p))[1])
    report = check_splits(folders(root))
    kinds = [finding.kind for finding in report.findings]
    assert kinds == ['path leaves the data root']
    assert not [path for path in opened if 'secret' in path or '/etc' in path]
    assert len(opened) > 0 and report.images['train'] == 1


def test_tags_without_images_and_images_without_tags(root):
    tags = {'a': [0], 'c': [0], 'd': [0], 'gone': [0]}
    locations = {'gone': 'tags.csv:7'}
    tags = ImageTags(tags, ['dog', 'cat'], 'tags.csv', locations)
    train, _ = folders(root, tags)
    findings = check_splits([train]).findings
    assert [(f.kind, f.location) for f in findings] == [
        ('image without tags', str(root / 'JPEGImages/b.jpg')),
        ('tags without image', 'tags.csv:7'),
    ]


def test_split_without_masks_or_rules(root):
    split = split_from_folder('all', root / 'JPEGImages')
    assert [image.name for image in split.images] == list(NAMES)
    report = check_splits([split])
    assert (report.findings, report.images, report.masks) == (
        [],
        {'all': 4},
        {'all': 0},
    )
    (finding,) = check_splits([Split('none', [])]).findings
    assert finding.kind == 'empty split'
    with pytest.raises(FileNotFoundError, match='nowhere'):
        split_from_folder('all', root / 'nowhere')


# Configs


def voc(root, split, **options):
    return {
        'type': 'PascalVOCDataset',
        'data_root': str(root),
        'data_prefix': {'img_path': 'JPEGImages', 'seg_map_path': 'SegmentationClass'},
        'ann_file': f'{split}.txt',
        **options,
    }


def config(train, val):
    return Config(
        {'train_dataloader': {'dataset': train}, 'val_dataloader': {'dataset': val}}
    )


def test_config_of_a_plain_data_set(root):
    splits, findings = splits_from_config(config(voc(root, 'train'), voc(root, 'val')))
    assert findings == []
    assert [split.name for split in splits] == ['train', 'val']
    assert [p.name for p in splits[0].images] == ['a', 'b']
    assert splits[0].rule == LabelRule(21, background=False)
    assert check_splits(splits).findings == []


def test_config_with_weak_data_set_and_tag_file(root):
    path = root / 'tags.json'
    path.write_text(json.dumps({'a': ['dog'], 'c': ['cat'], 'z': ['cat']}))
    weak = {'type': 'WeakDataset', 'tags': {'path': str(path)}, 'pipeline': []}
    weak['dataset'] = voc(root, 'train')
    (root / 'SegmentationClass/a.png').unlink()
    (root / 'SegmentationClass/c.png').unlink()
    val = {**weak, 'dataset': voc(root, 'val'), 'test_mode': True}
    splits, findings = splits_from_config(config(weak, val))
    assert findings == []
    assert found(check_splits(splits)) == [
        ('image without tags', 'b.jpg'),
        ('tags without image', 'tags.json:1'),
        ('missing mask', 'c.png'),
        ('image without tags', 'd.jpg'),
        ('tags without image', 'tags.json:1'),
    ]


def test_config_with_tags_from_masks_needs_the_masks(root):
    (root / 'SegmentationClass/a.png').unlink()
    weak = {'type': 'WeakDataset', 'tags': {'source': 'masks'}, 'pipeline': []}
    weak['dataset'] = {'type': 'ConcatDataset', 'datasets': [voc(root, 'train')]}
    splits, findings = splits_from_config(config(weak, voc(root, 'val')))
    assert findings == []
    assert found(check_splits(splits)) == [('missing mask', 'a.png')]


def test_config_problems_are_collected(root):
    path = root / 'tags.csv'
    path.write_text('a,dog\nb,unicorn\nb,dog\n')
    weak = {'type': 'WeakDataset', 'tags': {'path': str(path)}, 'pipeline': []}
    weak['dataset'] = voc(root, 'train')
    splits, findings = splits_from_config(config(weak, voc(root, 'nowhere')))
    assert [split.name for split in splits] == ['train']
    assert [(f.kind, f.location) for f in findings] == [
        ('tags', f'{path}:2'),
        ('tags', f'{path}:3'),
        ('cannot load', str(root / 'nowhere.txt')),
    ]
    assert findings[0].message == "image 'b': unknown tag 'unicorn'"
    assert findings[2].message == 'does not exist (val)'


def test_config_with_pickled_tags_or_an_unknown_data_set(root):
    weak = {'type': 'WeakDataset', 'tags': {'path': 'cls_labels.npy'}, 'pipeline': []}
    weak['dataset'] = voc(root, 'train')
    splits, findings = splits_from_config(
        config(weak, voc(root, 'val', type='Nothing'))
    )
    assert [finding.kind for finding in findings] == ['tags', 'cannot load']
    assert 'never read from NumPy or pickle' in findings[0].message
    assert 'Nothing is not in' in findings[1].message
    assert len(splits) == 1


def test_config_without_data(root):
    splits, findings = splits_from_config(Config({}))
    assert splits == [] and findings[0].kind == 'cannot load'


@pytest.mark.parametrize(
    ('options', 'maximum'),
    [
        ({}, 20),
        ({'metainfo': {'classes': ('background', 'cat')}}, 20),
        ({'reduce_zero_label': True}, 21),
    ],
)
def test_labels_on_disk_are_those_before_any_mapping(root, options, maximum):
    Image.new('L', (20, 12), maximum).save(root / 'SegmentationClass/a.png')
    Image.new('L', (20, 12), maximum + 1).save(root / 'SegmentationClass/b.png')
    splits, _ = splits_from_config(
        config(voc(root, 'train', **options), voc(root, 'val', **options))
    )
    findings = check_splits(splits).findings
    assert [finding.message for finding in findings] == [
        f'labels [{maximum + 1}] outside [0, {maximum}] and not 255 (ignored)'
    ]


def test_real_images(shared, tmp_path):
    root = shared / 'data/voc-mini/VOC2012'
    splits = []
    for name in ('train', 'val'):
        names = (root / f'ImageSets/Segmentation/{name}.txt').read_text().split()
        (tmp_path / name).write_text('\n'.join(names[:40]))
        split = split_from_folder(
            name,
            root / 'JPEGImages',
            root / 'SegmentationClass',
            tmp_path / name,
            rule=LabelRule(20),
        )
        splits.append(split)
    report = check_splits(splits, workers=2)
    assert report.findings == []
    assert report.images == report.masks == {'train': 40, 'val': 40}

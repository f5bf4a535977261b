"""WeakDataset: samples with tags, and no mask in training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_wsss.datasets import ImageFolder, ImageTags, WeakDataset
from mmseg_wsss.datasets.sample_key import SampleKey
from mmseg_wsss.registry import DATASETS

CLASSES = ('cat', 'dog')
PIPELINE = [
    {'type': 'LoadImageFromFile'},
    {'type': 'RandomRescale', 'ratio_range': (0.5, 1.5)},
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'RandomCropPad', 'crop_size': (16, 16)},
    {'type': 'PackWeakInputs'},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images in VOC layout, with masks."""
    rng = np.random.default_rng(0)
    for part in ('JPEGImages', 'SegmentationClass'):
        (tmp_path / part).mkdir()
    for i in range(3):
        img = rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        mask = np.full((20, 24), i, dtype=np.uint8)
        Image.fromarray(img).save(tmp_path / 'JPEGImages' / f'{i}.jpg')
        Image.fromarray(mask).save(tmp_path / 'SegmentationClass' / f'{i}.png')
    (tmp_path / 'list.txt').write_text('0\n1\n2\n')
    return tmp_path


@pytest.fixture
def inner(folder: Path) -> dict:
    return {
        'type': 'PascalVOCDataset',
        'data_root': str(folder),
        'ann_file': 'list.txt',
        'data_prefix': {
            'img_path': 'JPEGImages',
            'seg_map_path': 'SegmentationClass',
        },
    }


def voc_tags() -> ImageTags:
    from mmseg.datasets import PascalVOCDataset

    classes = PascalVOCDataset.METAINFO['classes'][1:]
    return ImageTags({'0': [3], '1': [0], '2': [1, 5]}, classes)


def test_training_samples_have_tags_and_no_mask(inner):
    dataset = WeakDataset(inner, PIPELINE, voc_tags())
    for i in range(3):
        assert 'seg_map_path' not in dataset.get_data_info(i)
        data = dataset[i]['data_samples']
        assert 'gt_sem_seg' not in data
        assert 'seg_map_path' not in data.metainfo
    assert torch.nonzero(dataset[2]['data_samples'].gt_tags.label).ravel().tolist() == [
        1,
        5,
    ]


def test_training_reads_no_mask_file(inner, folder):
    for path in (folder / 'SegmentationClass').iterdir():
        path.unlink()
    dataset = WeakDataset(inner, PIPELINE, voc_tags())
    assert len([dataset[i] for i in range(3)]) == 3


def test_a_pipeline_that_loads_masks_is_refused(inner):
    pipeline = [PIPELINE[0], {'type': 'LoadAnnotations'}, PIPELINE[-1]]
    with pytest.raises(ValueError, match='LoadAnnotations'):
        WeakDataset(inner, pipeline, voc_tags())


def test_mask_added_by_a_transform_is_detected(inner):
    class AddMask:
        def __call__(self, results):
            results['gt_seg_map'] = np.zeros((16, 16), dtype=np.uint8)
            return results

    pipeline = [PIPELINE[0], PIPELINE[3], AddMask(), PIPELINE[-1]]
    dataset = WeakDataset(inner, pipeline, voc_tags())
    with pytest.raises(RuntimeError, match=r'0\.jpg.*mask reached'):
        dataset[0]


def test_evaluation_keeps_masks_and_derives_tags_from_them(inner):
    pipeline = [PIPELINE[0], {'type': 'LoadAnnotations'}, PIPELINE[-1]]
    tags = {'source': 'masks', 'allow_empty': True}
    with pytest.warns(UserWarning, match='no tag: 0'):
        dataset = WeakDataset(inner, pipeline, tags, test_mode=True)
    data = dataset[2]['data_samples']
    assert data.gt_sem_seg.data.unique().tolist() == [2]
    assert torch.nonzero(data.gt_tags.label).ravel().tolist() == [1]
    assert dataset[0]['data_samples'].gt_tags.label.sum() == 0


def test_test_pipeline_with_mmsegs_loaders_equals_that_of_the_strict_ones(inner):
    samples = []
    for image, mask in (
        ('LoadImageFromFile', 'LoadAnnotations'),
        ('LoadImageStrict', 'LoadAnnotationsStrict'),
    ):
        resize = {'type': 'Resize', 'scale': (48, 40)}
        pipeline = [{'type': image}, resize, {'type': mask}, PIPELINE[-1]]
        samples.append(WeakDataset(inner, pipeline, voc_tags(), test_mode=True)[2])
    (theirs, ours) = samples
    assert torch.equal(ours['inputs'], theirs['inputs'])
    for key in ('gt_sem_seg', 'valid_map'):
        found, expected = (getattr(s['data_samples'], key).data for s in samples)
        assert torch.equal(found, expected)
    assert ours['data_samples'].img_box == theirs['data_samples'].img_box


def test_an_image_without_an_entry_is_named(inner):
    tags = ImageTags({'0': [3], '1': [0]}, voc_tags().classes)
    with pytest.raises(ValueError, match="'2'"):
        WeakDataset(inner, PIPELINE, tags)


@pytest.mark.parametrize(
    ('tags', 'message'),
    [
        ({'source': 'mask'}, "tags.source must be 'file' or 'masks', got 'mask'"),
        ({'path': 'Annotations'}, 'is a folder, expected a tag file'),
    ],
)
def test_other_sources_of_tags_are_refused(inner, folder, monkeypatch, tags, message):
    monkeypatch.chdir(folder)
    (folder / 'Annotations').mkdir()
    with pytest.raises(ValueError, match=message):
        WeakDataset(inner, PIPELINE, tags)


def test_sample_depends_only_on_its_key(inner):
    dataset = WeakDataset(inner, PIPELINE, voc_tags())
    first = dataset[SampleKey(1, seed=0, number=9)]['inputs']
    np.random.seed(123)
    assert torch.equal(dataset[SampleKey(1, seed=0, number=9)]['inputs'], first)
    others = [dataset[SampleKey(1, seed=0, number=n)]['inputs'] for n in range(5)]
    assert not all(torch.equal(other, first) for other in others)


def test_rejected_images_are_replaced_by_the_next(inner):
    class Reject:
        def __call__(self, results):
            return None if results['sample_idx'] < 2 else results

    pipeline = [PIPELINE[0], Reject(), *PIPELINE[3:]]
    dataset = WeakDataset(inner, pipeline, voc_tags())
    assert dataset[0]['data_samples'].img_path.endswith('2.jpg')


def test_rejected_images_are_not_replaced_in_tests(inner):
    class Reject:
        def __call__(self, results):
            return None if results['sample_idx'] == 0 else results

    pipeline = [PIPELINE[0], Reject(), *PIPELINE[3:]]
    dataset = WeakDataset(inner, pipeline, voc_tags(), test_mode=True)
    assert dataset[1]['data_samples'].img_path.endswith('1.jpg')
    with pytest.raises(RuntimeError, match=r'rejected .*0\.jpg'):
        dataset[0]


def test_pipeline_that_rejects_every_image_is_an_error(inner):
    class Reject:
        def __call__(self, results):
            return None

    dataset = WeakDataset(inner, [PIPELINE[0], Reject(), PIPELINE[-1]], voc_tags())
    with pytest.raises(RuntimeError, match=r'rejected .*0\.jpg'):
        dataset[0]


def test_image_folder_with_csv_tags(folder, tmp_path):
    csv = tmp_path / 'tags.csv'
    csv.write_text('image,tags\n0,cat\n1,dog\n2,cat;dog\n')
    dataset = DATASETS.build(
        {
            'type': 'WeakDataset',
            'dataset': {
                'type': 'ImageFolder',
                'data_root': str(folder / 'JPEGImages'),
                'classes': CLASSES,
            },
            'tags': {'path': str(csv)},
            'pipeline': PIPELINE,
        }
    )
    labels = [dataset[i]['data_samples'].gt_tags.label.tolist() for i in range(3)]
    assert labels == [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    assert dataset.metainfo['classes'] == ('background', 'cat', 'dog')


def test_concatenated_and_repeated_datasets(inner, folder):
    lists = []
    for name, images in (('a', '0\n'), ('b', '1\n2\n')):
        (folder / f'{name}.txt').write_text(images)
        lists.append({**inner, 'ann_file': f'{name}.txt'})
    concat = {'type': 'ConcatDataset', 'datasets': lists}
    repeat = {'type': 'RepeatDataset', 'dataset': concat, 'times': 2}
    whole = WeakDataset(inner, PIPELINE, voc_tags())
    dataset = WeakDataset(repeat, PIPELINE, voc_tags())
    assert [dataset.name(i) for i in range(6)] == ['0', '1', '2'] * 2
    for i in range(6):
        key = SampleKey(i, seed=0, number=i), SampleKey(i % 3, seed=0, number=i)
        sample, expected = dataset[key[0]], whole[key[1]]
        assert torch.equal(sample['inputs'], expected['inputs'])
        found = sample['data_samples']
        assert torch.equal(found.gt_tags.label, expected['data_samples'].gt_tags.label)
        assert 'seg_map_path' not in found.metainfo
    from_masks = {'source': 'masks', 'allow_empty': True}
    with pytest.warns(UserWarning, match='no tag: 0'):
        dataset = WeakDataset(concat, PIPELINE, from_masks)
    assert dataset.tags.labels('2') == [voc_tags().classes[1]]


def test_concatenated_images_of_equal_name_are_refused(tmp_path):
    parts = []
    for name in 'ab':
        (tmp_path / name).mkdir()
        Image.new('RGB', (4, 4)).save(tmp_path / name / 'same.png')
        parts.append(ImageFolder(str(tmp_path / name), CLASSES))
    tags = ImageTags({'same': [0]}, CLASSES)
    with pytest.raises(ValueError, match=r"a/same.* and .*b/same.* name 'same'"):
        WeakDataset({'type': 'ConcatDataset', 'datasets': parts}, PIPELINE, tags)


def test_names_keep_sub_folders(tmp_path):
    for part in ('a', 'b'):
        (tmp_path / part).mkdir()
        Image.new('RGB', (4, 4)).save(tmp_path / part / 'same.PNG')
    folder = ImageFolder(str(tmp_path), CLASSES)
    tags = ImageTags({'a/same': [0], 'b/same': [1]}, CLASSES)
    dataset = WeakDataset(folder, PIPELINE, tags)
    assert [dataset.name(i) for i in range(2)] == ['a/same', 'b/same']


def test_a_list_of_the_images_of_a_folder(tmp_path):
    (tmp_path / 'img/a').mkdir(parents=True)
    for name in ('a/one.png', 'two.JPG', 'three.png'):
        Image.new('RGB', (4, 4)).save(tmp_path / 'img' / name)
    (tmp_path / 'list.txt').write_text('two\na/one\n')

    def names(**settings):
        folder = ImageFolder(str(tmp_path / 'img'), CLASSES, **settings)
        return [folder.get_data_info(i)['img_path'] for i in range(len(folder))]

    expected = [str(tmp_path / 'img' / name) for name in ('two.JPG', 'a/one.png')]
    assert names(ann_file='../list.txt') == expected
    assert len(names()) == 3
    (tmp_path / 'list.txt').write_text('two\nfour\n')
    with pytest.raises(FileNotFoundError, match=r"list.txt: .* no image 'four' below"):
        names(ann_file='../list.txt')
    with pytest.raises(FileNotFoundError, match=r'missing\.txt'):
        names(ann_file='missing.txt')


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        ImageFolder(str(tmp_path), CLASSES)

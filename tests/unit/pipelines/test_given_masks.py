"""Images with given masks in reports, and images without any in predictions."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny import TAGS, tiny_config, with_masks
from mmengine.dataset import ConcatDataset
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmseg_wsss.datasets import ImageFolder
from mmseg_wsss.datasets.label_maps import voc_palette
from mmseg_wsss.pipelines.export import image_names, image_paths, labeled_names
from mmseg_wsss.pipelines.report import Images, write_report
from mmseg_wsss.pipelines.stages import named_files
from mmseg_wsss.pipelines.unmasked_images import unmasked_images
from mmseg_wsss.registry import DATASETS

GIVEN = ('0', '1', '2')
CLASSES = ('background', 'red', 'green', 'yellow', 'blue', 'pink', 'cyan')


def test_a_report_leaves_given_masks_out(tiny_voc, tmp_path):
    dataset = BaseSegDataset(
        data_root=str(tiny_voc),
        data_prefix={'img_path': 'JPEGImages', 'seg_map_path': 'SegmentationClass'},
        img_suffix='.png',
        metainfo={'classes': CLASSES, 'palette': voc_palette(7)},
    )
    covered = []
    for name in map(str, range(len(TAGS))):
        mask = np.array(Image.open(tiny_voc / f'SegmentationClass/{name}.png'))
        covered.append((mask == 0).mean() * 100)
        label = mask if name in GIVEN else np.zeros_like(mask)
        Image.fromarray(label).save(tmp_path / f'{name}.png')
    part = Images('training images', dataset, {'masks': tmp_path}, given=set(GIVEN))
    write_report([part], tmp_path / 'report', {})
    text = (tmp_path / 'report/report.md').read_text()
    assert 'training images: 5, 5 of them with masks' in text
    # All labels are background: its IoU is the ratio of true background.
    expected = np.mean(covered[len(GIVEN) :])
    assert f'| background | {expected:.2f} |' in text
    assert '| red | 0.00 |' in text


class Mapped(BaseSegDataset):
    """A dataset that changes the labels of its files: red and green are one class."""

    def __getitem__(self, idx: int) -> dict:
        sample = super().__getitem__(idx)
        labels = sample['data_samples'].gt_sem_seg.data
        labels[(labels > 1) & (labels < 255)] -= 1
        return sample


@pytest.mark.parametrize('way', ['subset', 'reordered', 'reduced', 'own'])
def test_a_report_has_the_labels_of_the_data_set(tiny_voc, tmp_path, way, monkeypatch):
    classes = {
        'subset': ('background', 'red', 'blue'),
        'reordered': ('background', 'green', 'red', *CLASSES[3:]),
        'reduced': CLASSES[1:],
        'own': ('background', 'warm', *CLASSES[3:]),
    }[way]
    kind = Mapped if way == 'own' else BaseSegDataset
    if way in ('subset', 'reordered'):  # of the classes of the files
        monkeypatch.setitem(kind.METAINFO, 'classes', CLASSES)
    dataset = kind(
        data_root=str(tiny_voc),
        data_prefix={'img_path': 'JPEGImages', 'seg_map_path': 'SegmentationClass'},
        img_suffix='.png',
        metainfo={'classes': classes, 'palette': voc_palette(len(classes))},
        reduce_zero_label=way == 'reduced',
    )
    table = np.full(256, 255, np.uint8)
    for label, name in enumerate(CLASSES):
        if way == 'own':
            table[label] = max(label - 1, min(label, 1))
        elif name in classes:
            table[label] = classes.index(name)
    for path in (tiny_voc / 'SegmentationClass').glob('?.png'):
        Image.fromarray(table[np.array(Image.open(path))]).save(tmp_path / path.name)
    part = Images('training images', dataset, {'masks': tmp_path})
    assert write_report([part], tmp_path / 'report', {}) == {
        'masks, training images': 100.0
    }


def config(tiny_voc: Path, tmp_path: Path) -> dict:
    cfg = with_masks(tiny_config('CAMSeg', tiny_voc, tmp_path))
    return cfg.train_dataloader.dataset.to_dict()


def test_names_of_the_labeled_part(tiny_voc, tmp_path):
    dataset = DATASETS.build(config(tiny_voc, tmp_path))
    assert labeled_names(dataset) == ['0', '1', '2', '3']
    assert labeled_names(dataset.tagged) == []


def test_masks_of_the_labeled_part_count_as_named_files(tiny_voc, tmp_path):
    root = shutil.copytree(tiny_voc, tmp_path / 'voc')
    settings = {'config': {'train': config(root, tmp_path)}}
    found = named_files(settings)
    folder = root / 'SegmentationClass'
    masks = {path: d for path, d in found.items() if Path(path).parent == folder}
    assert sorted(Path(path).stem for path in masks) == ['0', '1', '2', '3']
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(folder / '2.png')
    changed = {path for path, d in named_files(settings).items() if found[path] != d}
    assert changed == {str(folder / '2.png')}


def test_predicted_are_images_without_masks(tiny_voc, tmp_path):
    semi = config(tiny_voc, tmp_path)
    other = [{'type': 'LoadImageFromFile'}]
    found = unmasked_images(semi, other)
    assert found == semi['tagged'] | {'pipeline': other}
    assert unmasked_images(semi) == semi['tagged']
    assert image_names(DATASETS.build(found)) == {'4', '5', '6', '7'}
    three = semi | {'unlabeled': dict(semi['tagged'], indices=2), 'split': 'lists'}
    for part in ('tagged', 'unlabeled'):
        del three[part]['ann_file']
    parts = unmasked_images(three, other)['datasets']
    lists = [part['ann_file'] for part in parts]
    assert lists == ['lists/tagged.txt', 'lists/unlabeled.txt']
    assert all(part['pipeline'] == other for part in parts)
    weak = {'type': 'WeakDataset', 'dataset': {}, 'pipeline': [{'type': 'Resize'}]}
    assert unmasked_images(weak, other) == weak | {'pipeline': other}


def test_names_in_several_folders(tmp_path):
    for name in ('a/x/0', 'b/y/0'):
        path = tmp_path / f'{name}.png'
        path.parent.mkdir(parents=True)
        Image.new('RGB', (4, 4)).save(path)
    parts = [ImageFolder(str(tmp_path / folder), ('cat',)) for folder in 'ab']
    assert list(image_paths(ConcatDataset(parts)).values()) == ['x/0', 'y/0']
    with pytest.raises(ValueError, match='x/0 occurs more than once'):
        image_paths(ConcatDataset([parts[0], parts[0]]))

"""Loading of exported pseudo-labels and soft maps."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_wsss.datasets import DeterministicDataset, ImageFolder
from mmseg_wsss.datasets.transforms import LoadPseudoLabel, PackWeakInputs
from mmseg_wsss.pipelines.export_files import ExportFormat, write_pseudo_label

PALETTE = [[0, 0, 0], [200, 0, 0], [0, 200, 0]]


@pytest.fixture
def folder(tmp_path):
    prob = torch.zeros(3, 4, 5)
    prob[2, 1:3] = 0.5
    label = torch.tensor([[0, 1, 2, 255, 0]]).expand(4, 5)
    write_pseudo_label(tmp_path, 'a', label, prob, ExportFormat('cam', PALETTE, True))
    return tmp_path


def results(size=(4, 5)):
    return {
        'img_path': 'images/a.jpg',
        'img': np.zeros((*size, 3), np.uint8),
        'ori_shape': size,
        'img_shape': size,
    }


def test_pseudo_label_is_transformed_and_not_a_mask(folder):
    loaded = LoadPseudoLabel(str(folder), 3)(results())
    assert loaded['seg_fields'] == ['pseudo_label']
    sample = PackWeakInputs()(loaded)['data_samples']
    assert 'gt_sem_seg' not in sample
    assert sample.pseudo_label.data.dtype == torch.int64
    assert sample.pseudo_label.data[0, 0].tolist() == [0, 1, 2, 255, 0]


def test_files_of_sub_folders_are_found_by_the_name_of_the_data_set(folder):
    (folder / 's').mkdir()
    (folder / 'a.png').rename(folder / 's/a.png')
    loaded = LoadPseudoLabel(str(folder), 3)(results() | {'image_name': 's/a'})
    assert loaded['pseudo_label'][0].tolist() == [0, 1, 2, 255, 0]


def test_files_of_sub_folders_in_a_dataset_without_tags(folder):
    for part in ('s', 'img/s'):
        (folder / part).mkdir(parents=True)
    (folder / 'a.png').rename(folder / 's/a.png')
    Image.new('RGB', (5, 4)).save(folder / 'img/s/a.jpg')
    load = {'type': 'LoadPseudoLabel', 'folder': str(folder), 'num_classes': 3}
    pipeline = [{'type': 'LoadImageStrict'}, load, {'type': 'PackWeakInputs'}]
    images = ImageFolder(str(folder / 'img'), pipeline=pipeline)
    dataset = DeterministicDataset(images, hide_masks=True)
    assert dataset[0]['data_samples'].pseudo_label.shape == (4, 5)


def test_soft_map_becomes_cam_seed(folder):
    loaded = LoadPseudoLabel(str(folder), 3, soft=True)(results())
    seed = PackWeakInputs()(loaded)['data_samples'].cam_seed.data
    assert seed.shape == (3, 4, 5)
    assert seed[:2].eq(0).all()
    assert seed[2, 1:3].eq(0.5).all()


@pytest.mark.parametrize('soft', [False, True])
def test_wrong_files_are_named(folder, soft):
    load = LoadPseudoLabel(str(folder), 3, soft)
    with pytest.raises(ValueError, match=r'a\.(png|npz): expected the size \(9, 5\)'):
        load(results((9, 5)))
    file = folder / ('a.npz' if soft else 'a.png')
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ValueError, match=file.name):
        load(results())
    file.unlink()
    message = rf'{file.name} does not exist: expected the file of images/a\.jpg'
    with pytest.raises(ValueError, match=message):
        load(results())

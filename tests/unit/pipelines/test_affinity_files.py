"""Affinity labels of exported CAMs, and of masks that were given to the export."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmseg_wsss.pipelines.affinity_files import write_affinity_labels
from mmseg_wsss.pipelines.export_files import given_names

PALETTE = [[0, 0, 0], [200, 10, 10], [10, 200, 10]]


def export_config(root: Path) -> Config:
    dataset = {
        'type': 'BaseSegDataset',
        'metainfo': {'classes': ('background', 'cat', 'dog'), 'palette': PALETTE},
        'data_root': str(root),
        'data_prefix': {'img_path': 'img'},
        'img_suffix': '.png',
        'pipeline': [],
    }
    return Config({'export_dataloader': {'dataset': dataset}})


def test_given_masks_are_the_labels_of_their_images(tmp_path: Path):
    seeds = tmp_path / 'seeds'
    for folder in (tmp_path / 'img', seeds):
        folder.mkdir()
    mask = np.array([[0, 2, 2, 255]], np.uint8).repeat(4, 0)
    prob = np.zeros((2, 4, 4), np.float16)
    prob[1, :, :2] = 1
    prob[0] = 1 - prob[1]
    for name in 'ab':
        Image.new('RGB', (4, 4)).save(tmp_path / f'img/{name}.png')
        Image.fromarray(mask).save(seeds / f'{name}.png')
        np.savez(seeds / f'{name}.npz', prob=prob, channels=np.array([0, 1]))
    (seeds / 'manifest.json').write_text(json.dumps({'given': ['b']}))
    out = tmp_path / 'labels'
    write_affinity_labels(export_config(tmp_path), seeds, out, crf={'num_iters': 1})
    made, given = (np.array(Image.open(out / f'{name}.png')) for name in 'ab')
    assert np.array_equal(given, mask)
    assert given_names(out) == {'b'}
    assert set(np.unique(made)) <= {0, 1, 255}
    assert (made == 1).any()


def seeds_of_one_image(folder):
    """Write an image with a CAM of 0.2; return the config and the folder of seeds."""
    seeds, cfg = folder / 'seeds', export_config(folder)
    for path in (folder / 'img', seeds):
        path.mkdir()
    Image.new('RGB', (4, 4)).save(folder / 'img/a.png')
    prob = np.stack([np.full((4, 4), 0.8), np.full((4, 4), 0.2)]).astype(np.float16)
    np.savez(seeds / 'a.npz', prob=prob, channels=np.array([0, 1]))
    return cfg, seeds


@pytest.mark.parametrize(('alphas', 'label'), [((1, 10), 255), ((8, 10), 1)])
def test_exponents_of_the_background_score(tmp_path, alphas, label):
    """A CAM of 0.2: background scores of 0.8, 0.8 ** 8 = 0.17 and 0.8 ** 10 = 0.11.

    Where the strong background wins and the weak one does not, there is no label.
    """
    cfg, seeds = seeds_of_one_image(tmp_path)
    out = tmp_path / 'labels'
    write_affinity_labels(cfg, seeds, out, alphas, crf={'num_iters': 0})
    assert (np.array(Image.open(out / 'a.png')) == label).all()


def test_labels_of_other_settings_or_seeds_do_not_stay(tmp_path):
    cfg, seeds = seeds_of_one_image(tmp_path)
    out, crf = tmp_path / 'labels', {'num_iters': 0}

    def write(alphas, **options):
        write_affinity_labels(cfg, seeds, out, alphas, crf, **options)
        return np.unique(Image.open(out / 'a.png')).tolist()

    assert write((1, 10)) == write((1.0, 10.0)) == [255]
    with pytest.raises(FileExistsError, match=r'alphas: expected \[8, 10\], found'):
        write((8, 10))
    assert write((8, 10), overwrite=True) == [1]
    prob = np.load(seeds / 'a.npz')['prob'][::-1]
    np.savez(seeds / 'a.npz', prob=prob, channels=np.array([0, 2]))
    with pytest.raises(FileExistsError, match='other seeds of 1 names, the first is a'):
        write((8, 10))
    assert write((8, 10), overwrite=True) == [2]

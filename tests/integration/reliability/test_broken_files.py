"""Broken, missing, foreign and malicious files: named, and nothing of them runs."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny import CROP, tiny_config, tiny_network
from helpers.training import evaluate, train
from mmengine.runner import load_checkpoint
from PIL import Image

from mmseg_wsss.engine.checkpoints import safe_checkpoints


@pytest.fixture
def data(tiny_voc, tmp_path) -> Path:
    """A copy of the dataset that a test may break."""
    return shutil.copytree(tiny_voc, tmp_path / 'data')


def run(data: Path, work_dir: Path, num_workers: int = 0) -> None:
    train(tiny_config('CAM', data, work_dir, 4, num_workers))


def cut(path: Path, share: float = 0.6) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def truncate(path: Path) -> None:
    cut(path)


def empty(path: Path) -> None:
    path.write_bytes(b'')


def scramble(path: Path) -> None:
    path.write_bytes(b'no image at all' * 9)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize('spoil', [truncate, empty, scramble, flip_a_byte])
def test_a_broken_image_stops_the_training_and_is_named(data, tmp_path, spoil):
    spoil(data / 'JPEGImages' / '3.png')
    with pytest.raises(ValueError, match=r'JPEGImages/3\.png: unreadable image'):
        run(data, tmp_path / 'work')


def test_a_broken_image_is_named_by_a_worker_too(data, tmp_path):
    truncate(data / 'JPEGImages' / '3.png')
    with pytest.raises(ValueError, match=r'JPEGImages/3\.png: unreadable image'):
        run(data, tmp_path / 'work', num_workers=1)


def test_a_missing_image_is_named(data, tmp_path):
    (data / 'JPEGImages' / '3.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'JPEGImages/3\.png'):
        run(data, tmp_path / 'work')


@pytest.mark.parametrize('line', ['../../secret', '/etc/secret'])
def test_a_path_that_leaves_the_data_root_is_named(data, tmp_path, line):
    split = data / 'ImageSets' / 'Segmentation' / 'train.txt'
    split.write_text(split.read_text() + f'{line}\n')
    with pytest.raises(ValueError, match=r'secret\.png leaves the data root .*train'):
        run(data, tmp_path / 'work')


def judge(data: Path, work_dir: Path) -> dict:
    return evaluate(tiny_config('CAM', data, work_dir))


def test_a_sound_data_set_is_evaluated(data, tmp_path):
    assert 0 <= judge(data, tmp_path / 'work')['mIoU'] <= 100


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda mask: mask + np.uint8(7), r'labels \[7, 9, 12\] outside \[0, 6\]'),
        (lambda mask: mask[:-1], r'expected .* \(40, 48\) .* found \(39, 48\)'),
        (lambda mask: np.stack([mask] * 3, 2), 'palette or gray label map .* RGB'),
        (lambda mask: mask.astype(np.uint16) + 300, 'of one byte, found 305'),
    ],
    ids=['label', 'size', 'color', 'two bytes'],
)
def test_a_wrong_mask_is_named(data, tmp_path, change, message):
    path = data / 'SegmentationClass' / '1.png'
    Image.fromarray(change(np.asarray(Image.open(path)))).save(path)
    with pytest.raises(ValueError, match=rf'SegmentationClass/1\.png: .*{message}'):
        judge(data, tmp_path / 'work')


def test_ignored_pixels_are_no_wrong_label(data, tmp_path):
    path = data / 'SegmentationClass' / '1.png'
    mask = np.array(Image.open(path))
    mask[:3] = 255
    Image.fromarray(mask).save(path)
    judge(data, tmp_path / 'work')


def test_a_truncated_mask_is_named(data, tmp_path):
    truncate(data / 'SegmentationClass' / '1.png')
    with pytest.raises(ValueError, match=r'SegmentationClass/1\.png: unreadable'):
        judge(data, tmp_path / 'work')


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize('name', ['tags.npy', 'tags.pkl', 'tags.json', 'tags.csv'])
def test_a_pickle_of_tags_is_refused(data, tmp_path, name):
    mark = tmp_path / 'mark'
    (data / name).write_bytes(pickle.dumps({'0': Bomb(mark)}))
    cfg = tiny_config('CAM', data, tmp_path / 'work')
    cfg.train_dataloader.dataset.tags.path = str(data / name)
    with pytest.raises(ValueError, match=name):
        train(cfg)
    assert not mark.exists()


@pytest.mark.parametrize('use', ['load_from', 'resume', 'Pretrained', 'tool'])
def test_a_malicious_checkpoint_runs_nothing(data, tmp_path, use):
    mark, path = tmp_path / 'mark', tmp_path / 'bad.pth'
    torch.save({'state_dict': {}, 'meta': {'author': Bomb(mark)}}, path)
    cfg = tiny_config('CAM', data, tmp_path / 'work')
    with (
        safe_checkpoints(),
        pytest.raises(ValueError, match=rf'{path}: .*run code'),
    ):
        if use == 'tool':
            load_checkpoint(tiny_network('CAM'), str(path))
        elif use == 'Pretrained':
            cfg.model.backbone.init_cfg = {'type': use, 'checkpoint': str(path)}
            train(cfg)
        else:
            cfg.load_from = str(path)
            cfg.resume = use == 'resume'
            train(cfg)
    assert not mark.exists()


def test_a_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save({'state_dict': tiny_network('CAM').state_dict()}, path)
    cut(path)
    with (
        safe_checkpoints(),
        pytest.raises(ValueError, match=f'{path}: .*damaged'),
    ):
        load_checkpoint(tiny_network('CAM'), str(path))


def test_a_trusted_checkpoint_may_hold_anything(tmp_path, monkeypatch):
    path = tmp_path / 'own.pth'
    state = tiny_network('CAM').state_dict()
    torch.save({'state_dict': state, 'meta': {'size': CROP, 'at': tmp_path}}, path)
    model = tiny_network('CAM', seed=1)
    with (
        safe_checkpoints(),
        pytest.raises(ValueError, match='TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1'),
    ):
        load_checkpoint(model, str(path))
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    with safe_checkpoints():
        load_checkpoint(model, str(path), strict=True)
    key = 'cam_head.classifier.weight'
    assert torch.equal(model.state_dict()[key], state[key])

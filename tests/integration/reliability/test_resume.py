"""Every way through a training leads to the same bits."""

import os
import shutil
import signal
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import pytest
import torch
from helpers.family import needs_onedl
from helpers.methods import METHODS
from helpers.tiny import tiny_config
from helpers.training import Run, train
from mmengine.config import Config
from mmengine.fileio import LocalBackend

HALF, END = 2, 4
ONE_DEVICE = {'strategy': {'type': 'SingleDeviceStrategy'}}


@pytest.fixture(scope='module', params=METHODS)
def method(request) -> str:
    return request.param


@pytest.fixture(scope='module')
def whole(method, tiny_voc, tmp_path_factory) -> Run:
    """The uninterrupted training, in one process."""
    return train(tiny_config(method, tiny_voc, tmp_path_factory.mktemp('whole'), END))


@pytest.fixture(scope='module')
def flexible(method, tiny_voc, tmp_path_factory) -> Run:
    """The uninterrupted training by MMEngine's FlexibleRunner."""
    folder = tmp_path_factory.mktemp('flexible')
    return train(tiny_config(method, tiny_voc, folder, END, **ONE_DEVICE))


def assert_same(run: Run, whole: Run, begin: int) -> None:
    assert list(run.losses) == list(range(begin, END))
    assert not run.difference(whole)


def test_every_phase_of_a_method_is_reached(method, whole):
    seen = {
        (frozenset(logs), logs.get('pwm'), logs.get('use_affinity'))
        for logs in whole.losses.values()
    }
    assert len(seen) == len(METHODS[method].phases)


def test_nothing_is_random_but_by_the_seed(method, whole, tiny_voc, tmp_path):
    other = train(tiny_config(method, tiny_voc, tmp_path, END, randomness={'seed': 4}))
    assert other.difference(whole)


@pytest.mark.parametrize('kind', [name for name in METHODS if METHODS[name].semi])
def test_a_folder_of_unlabeled_images_trains_alike(kind, tiny_voc, tmp_path):
    expected = train(tiny_config(kind, tiny_voc, tmp_path / 'a', HALF))
    root, bare = tmp_path / 'voc', tmp_path / 'bare'
    shutil.copytree(tiny_voc, root)
    bare.mkdir()
    names = (root / 'ImageSets/Segmentation/train.txt').read_text().split()[-4:]
    for name in names:
        (root / f'JPEGImages/{name}.png').rename(bare / f'{name}.png')
        (root / f'SegmentationClass/{name}.png').unlink()
    cfg = tiny_config(kind, root, tmp_path / 'b', HALF)
    data = cfg.train_dataloader.dataset
    plain = {'type': 'ImageFolder', 'data_root': str(bare)}
    data.unlabeled = plain | {'pipeline': data.unlabeled.pipeline}
    found = train(cfg)
    assert found.losses == expected.losses
    assert not found.difference(expected)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_a_resumed_run_equals_an_uninterrupted_one(
    method, whole, tiny_voc, tmp_path, num_workers
):
    train(tiny_config(method, tiny_voc, tmp_path, END, num_workers), until=HALF)
    cfg = tiny_config(method, tiny_voc, tmp_path, END, num_workers, resume=True)
    assert_same(train(cfg), whole, HALF)


def test_flexible_runner_resumes_alike(method, flexible, tiny_voc, tmp_path):
    train(tiny_config(method, tiny_voc, tmp_path, END, **ONE_DEVICE), until=HALF)
    cfg = tiny_config(method, tiny_voc, tmp_path, END, resume=True, **ONE_DEVICE)
    assert_same(train(cfg), flexible, HALF)


@needs_onedl('FlexibleRunner draws other initial weights than Runner from a seed')
def test_flexible_runner_trains_like_runner(whole, flexible):
    assert_same(flexible, whole, 0)


def resume_after_kill(method, whole, tiny_voc, work_dir, moment, begin) -> None:
    args = (method, tiny_voc, work_dir, moment)
    process = get_context('fork').Process(target=train_until_killed, args=args)
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert (work_dir / 'last_checkpoint').read_text().endswith(f'iter_{begin}.pth')
    cfg = save_always(tiny_config(method, tiny_voc, work_dir, END, resume=True))
    assert_same(train(cfg), whole, begin)
    assert (work_dir / 'last_checkpoint').read_text().endswith(f'iter_{END}.pth')


def test_a_run_killed_while_it_saves_can_be_resumed(method, whole, tiny_voc, tmp_path):
    resume_after_kill(method, whole, tiny_voc, tmp_path, 'half of a checkpoint', 2)


@pytest.mark.parametrize(
    ('moment', 'begin'), [('before it is noted', 2), ('before the last is removed', 3)]
)
def test_no_moment_of_a_save_is_fatal(tiny_voc, tmp_path, moment, begin):
    whole = train(tiny_config('CAM', tiny_voc, tmp_path / 'whole', END))
    resume_after_kill('CAM', whole, tiny_voc, tmp_path / 'killed', moment, begin)


def save_always(cfg: Config) -> Config:
    cfg.default_hooks.checkpoint.interval = 1
    return cfg


def train_until_killed(
    method: str, tiny_voc: Path, work_dir: Path, moment: str
) -> None:
    """Save every iteration, and die in the third time at a moment of it."""
    torch.set_num_threads(1)  # threads of OpenMP do not survive a fork
    cfg = save_always(tiny_config(method, tiny_voc, work_dir, END))
    put, calls = LocalBackend.put, Counter()

    def die_in_half(self, content, path):
        calls['put'] += 1
        if moment == 'half of a checkpoint' and calls['put'] == 3:
            put(self, content[: len(content) // 2], path)
            os.kill(os.getpid(), signal.SIGKILL)
        put(self, content, path)

    def die_before(function, when, count):
        def dying(*args):
            calls[when] += 1
            if moment == when and calls[when] == count:
                os.kill(os.getpid(), signal.SIGKILL)
            function(*args)

        return dying

    # Two files are renamed a time: the checkpoint and the note of it.
    replace = die_before(os.replace, 'before it is noted', 6)
    remove = die_before(os.remove, 'before the last is removed', 2)
    with (
        mock.patch.object(LocalBackend, 'put', die_in_half),
        mock.patch('os.replace', replace),
        mock.patch('os.remove', remove),
    ):
        train(cfg)

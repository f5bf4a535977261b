"""AtomicCheckpointHook: which files there are at any time."""

import itertools
import os
import shutil
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseModel
from mmengine.runner import FlexibleRunner, Runner

from mmseg_wsss.engine.hooks import atomic_checkpoint_hook as hook_module
from mmseg_wsss.registry import HOOKS

_runs = itertools.count()


class Line(BaseModel):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs: torch.Tensor, mode: str) -> object:
        return {'loss': self.weight.sum()} if mode == 'loss' else [{}]


class Score(BaseMetric):
    """Gives the scores that it was told, one after the other."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = iter(scores)

    def process(self, data_batch: object, data_samples: object) -> None:
        self.results.append(None)

    def compute_metrics(self, results: list) -> dict[str, float]:
        score = next(self.scores)
        return {'score': score, 'other': score}


class StoppedError(Exception):
    pass


class Watch(Hook):
    """Notes the iterations that are validated, and may break one off.

    Args:
        stop_at: Iteration with an unfinished validation.
        stop_before: Number of iterations after which the next one does not begin.
    """

    def __init__(
        self, stop_at: int | None = None, stop_before: int | None = None
    ) -> None:
        self.stop_at = stop_at
        self.stop_before = stop_before
        self.validated: list[int] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.stop_before:
            raise StoppedError

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter == self.stop_at:
            raise StoppedError

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.validated.append(runner.iter)


def train(
    work_dir: Path,
    hook: str = 'AtomicCheckpointHook',
    scores: Sequence[float] = (1, 3, 2, 4),
    watch: Watch | None = None,
    resume: bool = False,
    kind: type = Runner,
    **settings: Any,
) -> None:
    """Save and validate after each of four iterations."""
    sample = {'inputs': torch.ones(1)}
    loader = torch.utils.data.DataLoader([sample] * 4)  # a new pass takes 2 seconds
    checkpoint = {'type': hook, 'interval': 1, 'by_epoch': False} | settings
    runner = kind(
        Line(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg={'by_epoch': False, 'max_iters': 4, 'val_interval': 1},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        val_dataloader=torch.utils.data.DataLoader([sample]),
        val_evaluator=[Score(list(scores))],
        val_cfg={},
        default_hooks={'checkpoint': checkpoint},
        log_processor={'by_epoch': False},
        log_level='ERROR',
        default_scope='mmseg',
        # MMEngine keeps what it knows of the best score under this name.
        experiment_name=f'{"_".join(work_dir.parts[1:])}_{next(_runs)}',
        resume=resume,
    )
    if watch is not None:
        runner.register_hook(watch)
    runner.train()


def names(folder: Path) -> list[str]:
    """Checkpoints and notes of them; MMEngine names its copy of the config by time."""
    files = (path.name for path in folder.iterdir() if path.is_file())
    return sorted(n for n in files if not n.endswith('.py') and n[0] != '.')


def test_it_takes_the_place_of_the_stock_hook():
    assert issubclass(HOOKS.get('AtomicCheckpointHook'), CheckpointHook)


@pytest.mark.parametrize(
    'settings',
    [
        {},
        {'max_keep_ckpts': 2},
        {'max_keep_ckpts': 1, 'save_best': 'score', 'rule': 'greater'},
        {'interval': 3, 'save_best': 'score', 'rule': 'less'},
    ],
)
def test_it_leaves_the_files_that_mmengine_leaves(tmp_path, settings):
    train(tmp_path / 'ours', **settings)
    train(tmp_path / 'stock', 'CheckpointHook', **settings)
    assert names(tmp_path / 'ours') == names(tmp_path / 'stock')
    notes = [
        Path((tmp_path / folder / 'last_checkpoint').read_text()).name
        for folder in ('ours', 'stock')
    ]
    assert notes[0] == notes[1]


@pytest.mark.parametrize('hook', ['AtomicCheckpointHook', 'CheckpointHook'])
@pytest.mark.parametrize('number', range(1, 9))
def test_a_full_disk_costs_no_good_checkpoint(tmp_path, hook, number):
    """The stock hook is here to show that the test can fail."""
    put, calls = LocalBackend.put, []

    def fail(self, content, path):
        calls.append(path)
        put(self, content[: len(content) // 2], path)
        if len(calls) == number:
            raise OSError('no space left')
        put(self, content, path)

    settings = {'max_keep_ckpts': 1, 'save_best': 'score', 'rule': 'greater'}
    with (
        mock.patch.object(LocalBackend, 'put', fail),
        pytest.raises(OSError, match='no space'),
    ):
        train(tmp_path / 'run', hook, **settings)
    sound = {'last': 0, 'best': 0}
    for path in (tmp_path / 'run').glob('*.pth'):
        try:
            torch.load(path, weights_only=False)
        except RuntimeError:
            assert hook == 'CheckpointHook', f'{path} is half a checkpoint'
            continue
        sound['best' if path.name.startswith('best') else 'last'] += 1
    if hook == 'AtomicCheckpointHook':
        assert sound['last'] == (number > 1)
        # One that another has just replaced may still be there.
        assert (sound['best'] > 0) == (number > 2)
        note = tmp_path / 'run' / 'last_checkpoint'
        assert note.exists() == (number > 1)
        assert not note.exists() or Path(note.read_text()).is_file()
    elif number == 4:
        assert sound['last'] == 0


BEST = {'save_best': 'score', 'rule': 'greater', 'max_keep_ckpts': 1}


@pytest.mark.parametrize(('stop_at', 'scores'), [(2, [5, 2, 3]), (4, [3])])
def test_an_interrupted_validation_is_made_up_for(tmp_path, stop_at, scores):
    """Iteration 2 has the best score; the last two checkpoints are 4 and the best."""
    before, after = Watch(stop_at), Watch()
    with pytest.raises(StoppedError):
        train(tmp_path, scores=[1, 5, 2, 3], watch=before, **BEST)
    train(tmp_path, scores=scores, watch=after, resume=True, **BEST)
    assert before.validated == [*range(1, stop_at)]
    assert after.validated == [*range(stop_at, 5)]
    assert names(tmp_path) == ['best_score_iter_2.pth', 'iter_4.pth', 'last_checkpoint']


@pytest.mark.parametrize('kind', [Runner, FlexibleRunner])
def test_two_interruptions_lose_no_best_score(tmp_path, kind):
    """The second one is before the checkpoint after a validation made up for."""
    for scores, watch, resume in (
        ([1], Watch(stop_at=2), False),
        ([5], Watch(stop_before=2), True),
        ([2, 3], Watch(), True),
    ):
        with suppress(StoppedError):
            train(
                tmp_path, scores=scores, watch=watch, resume=resume, kind=kind, **BEST
            )
    assert watch.validated == [3, 4]
    assert names(tmp_path) == ['best_score_iter_2.pth', 'iter_4.pth', 'last_checkpoint']


@pytest.mark.parametrize('metrics', ['score', ['score', 'other']])
def test_a_copied_run_leaves_the_files_of_the_original(tmp_path, metrics):
    settings = BEST | {'save_best': metrics}
    with pytest.raises(StoppedError):
        train(tmp_path / 'a', scores=[1, 5], watch=Watch(stop_at=3), **settings)
    before = names(tmp_path / 'a')
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    train(tmp_path / 'b', scores=[2, 9], resume=True, **settings)
    assert names(tmp_path / 'a') == before
    best = [name for name in names(tmp_path / 'b') if name.startswith('best')]
    keys = [metrics] if metrics == 'score' else sorted(metrics)
    assert best == [f'best_{key}_iter_4.pth' for key in keys]


def test_a_finished_validation_is_not_repeated(tmp_path):
    train(tmp_path)
    watch = Watch()
    train(tmp_path, scores=[], watch=watch, resume=True)
    assert watch.validated == []


def test_another_training_in_the_folder_validates_anew(tmp_path):
    train(tmp_path)
    with pytest.raises(StoppedError):
        train(tmp_path, watch=Watch(2))
    watch = Watch()
    train(tmp_path, scores=[3, 2, 4], watch=watch, resume=True)
    assert watch.validated == [2, 3, 4]


@pytest.mark.parametrize('kind', [Runner, FlexibleRunner])
def test_checkpoints_have_their_iteration(tmp_path, kind):
    """Every score is the best one, so that the last checkpoint is saved once more."""
    settings = {'save_best': 'score', 'rule': 'greater'}
    train(tmp_path, scores=[1, 2, 3, 4], kind=kind, **settings)
    for path in tmp_path.glob('*.pth'):
        meta = torch.load(path, weights_only=False)['meta']
        assert path.stem.endswith(f'iter_{meta["iter"]}')


def test_a_checkpoint_is_on_the_disk_before_it_is_named(tmp_path):
    """File, name, folder, then the same of last_checkpoint, and only then removals."""
    replace, calls = os.replace, []

    def note(number: int) -> None:
        calls.append('folder' if stat.S_ISDIR(os.fstat(number).st_mode) else 'file')

    def rename(source: str, target: str) -> None:
        if not str(target).endswith('.last_validation'):
            calls.append('name')
        replace(source, target)

    with (
        mock.patch('os.fsync', note),
        mock.patch('os.replace', rename),
        mock.patch.object(hook_module, '_remove', lambda path: calls.append('remove')),
    ):
        train(tmp_path, interval=4)
    saved = ['file', 'name', 'folder']
    assert calls == [*saved, 'remove', *saved]


def test_a_folder_is_moved_aside_before_it_is_replaced(tmp_path):
    """DeepSpeed's; killed between the renames, the old one still exists."""

    def save(out_dir: str, name: str, **_: Any) -> None:
        Path(out_dir, name).mkdir()

    runner = SimpleNamespace(save_checkpoint=save, train_loop=SimpleNamespace(_iter=0))
    atomic = hook_module._AtomicRunner(runner, 'ab')
    atomic.save_checkpoint(str(tmp_path), 'iter_2.pth', meta={})
    (tmp_path / 'iter_2.pth/old').touch()
    replace = os.replace

    def killed(source: str, target: str) -> None:
        if source.endswith('.part'):
            raise StoppedError
        replace(source, target)

    with mock.patch('os.replace', killed), pytest.raises(StoppedError):
        atomic.save_checkpoint(str(tmp_path), 'iter_2.pth', meta={})
    old = tmp_path / '.iter_2.pth.ab.old'
    assert (old / 'old').is_file()
    old.rename(tmp_path / 'iter_2.pth')
    shutil.rmtree(tmp_path / '.iter_2.pth.ab.part')
    atomic.save_checkpoint(str(tmp_path), 'iter_2.pth', meta={})
    assert [path.name for path in tmp_path.iterdir()] == ['iter_2.pth']
    assert not (tmp_path / 'iter_2.pth/old').exists()


def test_every_training_has_temporary_names_of_its_own(tmp_path):
    """Leftovers of a killed training are removed when it is surely over."""
    replace, parts = os.replace, []

    def rename(source: str, target: str) -> None:
        parts.extend([Path(source).name] if str(source).endswith('.part') else [])
        replace(source, target)

    with mock.patch('os.replace', rename):
        for _ in range(2):
            train(tmp_path, interval=4)
    assert len(set(parts)) == len(parts) == 2
    stale, fresh = tmp_path / '.iter_3.pth.part', tmp_path / '.iter_4.pth.ab.part'
    for path in (stale, fresh):
        path.touch()
    hours_ago = time.time() - 7200
    os.utime(stale, (hours_ago, hours_ago))
    train(tmp_path)
    assert [path.name for path in tmp_path.glob('.*.part')] == [fresh.name]

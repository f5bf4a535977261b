"""Lines in place of the log, of training and of testing."""

from types import SimpleNamespace

import pytest
import torch

from mmseg_wsss.engine.hooks import progress_bar_hook
from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils import progress


@pytest.fixture
def hook(monkeypatch):
    monkeypatch.setattr(progress.time, 'monotonic', lambda: 100.0)
    return HOOKS.build({'type': 'ProgressBarHook'})


def train_and_test(hook, start=0):
    """Three iterations and two batches."""
    runner = SimpleNamespace(max_iters=3, iter=start, test_dataloader=['a', 'b'])
    hook.before_train(runner)
    for runner.iter in range(start, 3):
        outputs = {'loss': torch.tensor(1 / (1 + runner.iter)), 'loss_cls': 7}
        hook.after_train_iter(runner, runner.iter, outputs=outputs)
    hook.after_train(runner)
    hook.before_test_epoch(runner)
    for number in range(2):
        hook.after_test_iter(runner, number)
    hook.after_test_epoch(runner, {'mIoU': 3.0})


@pytest.mark.parametrize('start', [0, 2])
def test_lines_of_a_run_from_its_start_or_resumed(hook, start, capsys):
    train_and_test(hook, start)
    assert capsys.readouterr().out.splitlines() == [
        f'training: {start}/3, 0 s',
        'training: 3/3, 0 s, loss 0.333',
        'testing: 0/2, 0 s',
        'testing: 2/2, 0 s',
    ]


def test_an_iteration_without_a_loss(hook, capsys):
    runner = SimpleNamespace(max_iters=1, iter=0)
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    hook.after_train(runner)
    assert capsys.readouterr().out == 'training: 0/1, 0 s\ntraining: 1/1, 0 s\n'


def test_other_processes_write_nothing(hook, monkeypatch, capsys):
    monkeypatch.setattr(progress_bar_hook, 'is_main_process', lambda: False)
    train_and_test(hook)
    assert capsys.readouterr() == ('', '')

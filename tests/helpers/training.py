"""A training with a result that can be compared bit by bit with another one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import FlexibleRunner, Runner

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.utils.configs import walk


@dataclass
class Run:
    """What a training leaves behind.

    Args:
        losses: What each iteration logged, by iteration.
        state: Every tensor and number of the model, the optimizer and the schedules.
    """

    losses: dict[int, dict[str, float]]
    state: dict[str, Any] = field(repr=False)

    def difference(self, other: 'Run') -> str:
        """Name of the first entry that is not the same to the bit; '' if none is."""
        for iteration in self.losses.keys() & other.losses.keys():
            if self.losses[iteration] != other.losses[iteration]:
                return f'losses of iteration {iteration}'
        if self.state.keys() != other.state.keys():
            return f'keys {self.state.keys() ^ other.state.keys()}'
        for key, value in self.state.items():
            if not _same(value, other.state[key]):
                return key
        return ''


@safe_checkpoints()
def train(cfg: Config, *hooks: Hook, until: int | None = None) -> Run:
    """Train by a config, with MMEngine's Runner or FlexibleRunner.

    Checkpoints are loaded as by our tools: the original MMEngine cannot resume from its
    own with torch 2.6 or newer.

    Args:
        cfg: Config; one with a ``strategy`` is for FlexibleRunner.
        *hooks: Further hooks.
        until: Iterations after which the training is broken off.
    """
    record = _Record(until)
    runner = (FlexibleRunner if 'strategy' in cfg else Runner).from_cfg(cfg)
    for hook in (record, *hooks):
        runner.register_hook(hook)
    try:
        runner.train()
    finally:
        _stop_workers(runner)
    schedules = runner.param_schedulers or []
    parts = {
        'model': unwrap(runner.model).state_dict(),
        'optimizer': runner.optim_wrapper.state_dict(),
        'schedules': [schedule.state_dict() for schedule in schedules],
    }
    return Run(
        record.losses,
        {
            path: part
            for path, part in walk(parts)
            if not isinstance(part, dict | list | tuple)
        },
    )


def _stop_workers(runner: Any) -> None:
    """Stop the workers of the training loader.

    If the garbage collector finds the loader first, torch waits five seconds for each
    of its workers, since the queue that tells them to stop may be gone.
    """
    batches = getattr(runner.train_loop, 'dataloader_iterator', None)
    stop = getattr(getattr(batches, '_iterator', None), '_shutdown_workers', None)
    if stop is not None:
        stop()


@safe_checkpoints()
def evaluate(cfg: Config) -> dict[str, float]:
    """Metrics of the test loader of a config."""
    return Runner.from_cfg(cfg).test()


@contextmanager
def unformatted_configs() -> Iterator[None]:
    """Skip the formatter of configs: six calls a run take most of a tiny one."""

    def skip(text: str, **_: Any) -> tuple[str, bool]:
        return text, False

    # MMEngine 0.10.7 imports it by name, the OneDL fork where it is called.
    of_mmengine = mock.patch('mmengine.config.config.FormatCode', skip, create=True)
    with mock.patch('yapf.yapflib.yapf_api.FormatCode', skip), of_mmengine:
        yield


class _Record(Hook):
    """Notes what each iteration logs, and stops after the last one."""

    def __init__(self, until: int | None) -> None:
        self.losses: dict[int, dict[str, float]] = {}
        self.until = until

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        self.losses[runner.iter] = {
            key: float(torch.as_tensor(value).detach())
            for key, value in (outputs or {}).items()
        }
        if runner.iter + 1 == self.until:
            runner.train_loop.stop_training = True


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    return first == second

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap, update_ema
from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from ..startup_check import StartupError, check_strategy
from .phase_hook import PhaseHook

SCHEDULES = ('warmup', 'linear', 'cosine', 'constant')


@HOOKS.register_module()
class MeanTeacherHook(PhaseHook):
    """Update the teachers of a segmentor by an exponential moving average.

    After each optimizer step, ``teacher = decay * teacher + (1 - decay) * student`` for
    the parameters and buffers of every pair in the segmentor's ``pairs``. The number of
    updates follows from the iteration, so checkpoints do not store it. Teachers are not
    updated in an iteration without an optimizer step (while gradients accumulate, or if
    mixed precision skips it), nor after a loss that is not finite. The hook also sets
    the segmentor's phase ``progress``, the ratio of finished iterations in (0, 1].
    Source: Tarvainen and Valpola, "Mean teachers are better role models", section 2,
    https://arxiv.org/abs/1703.01780.

    Args:
        decay: Weight of the old teacher in [0, 1] (MMEngine's ``momentum`` is
            ``1 - decay``); a dict gives one for each teacher.
        schedule: Decay of update t = 1, ..., T: ``'constant'`` is ``decay``,
            ``'warmup'`` is ``min(1 - 1 / (t + 1), decay)``, ``'linear'`` is
            ``(1 - 1 / (t + 1)) * decay``, and ``'cosine'`` increases from ``decay`` to
            1: ``1 - (1 - decay) * (1 + cos(pi * t / T)) / 2``. A dict gives one for
            each teacher.

    Raises:
        ValueError: If a decay is outside [0, 1] or a schedule is unknown; before
            training, if a dict does not name the segmentor's teachers.
        TypeError: Before training, if the segmentor has no teachers.
        StartupError: Before training, if FSDP or ZeRO-3 shards the weights of the
            teachers, or a strategy converts them to half precision.
    """

    phase = 'progress'

    def __init__(
        self,
        decay: float | Mapping[str, float] = 0.999,
        schedule: str | Mapping[str, str] = 'warmup',
    ) -> None:
        for name, value in _by_teacher('decay', decay).items():
            check_value(name, value, at_least=0, at_most=1)
        for name, kind in _by_teacher('schedule', schedule).items():
            check_value(name, kind, choices=SCHEDULES)
        self.decay = decay
        self.schedule = schedule
        self._stepped = True

    def value(self, runner: Runner) -> float:
        """Compute the ratio of finished iterations, this one included."""
        return (runner.iter + 1) / runner.max_iters

    def before_run(self, runner: Runner) -> None:
        """Reject a strategy that shards the teachers or lowers their precision."""
        training = not isinstance(runner.optim_wrapper, dict | None)
        problems = list(check_strategy(runner.model)) if training else []
        if problems:
            raise StartupError(problems)

    def before_train(self, runner: Runner) -> None:
        """Check that the segmentor has teachers, and that each has its settings."""
        optimizer: Any = getattr(runner.optim_wrapper, 'optimizer', None)
        self._watched = hasattr(optimizer, 'register_step_post_hook')
        if self._watched:
            optimizer.register_step_post_hook(self._note_step)

        segmentor = unwrap(runner.model)
        teachers = set(getattr(segmentor, 'pairs', ()))
        if not teachers:
            raise TypeError(
                'MeanTeacherHook needs a segmentor with teachers, such as MKD, got '
                f'{type(segmentor).__name__}; remove the hook from custom_hooks'
            )
        super().before_train(runner)
        for name in ('decay', 'schedule'):
            given = getattr(self, name)
            if isinstance(given, Mapping) and set(given) != teachers:
                raise ValueError(
                    f'{name} of MeanTeacherHook must name the teachers '
                    f'{sorted(teachers)}, got {sorted(given)}'
                )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the progress, and record the loss scale before the step."""
        super().before_train_iter(runner, batch_idx, data_batch)
        self._scale = _loss_scale(runner)
        self._stepped = not self._watched

    def _note_step(self, optimizer: Any, *_: Any) -> None:
        """Record a step of the optimizer, as its post-hook.

        Mixed precision skips a step by not calling the optimizer; a fused optimizer is
        called anyway, and skips the step itself.
        """
        overflow = getattr(optimizer, 'found_inf', None)
        self._stepped = overflow is None or not bool(overflow)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Update every teacher."""
        if not _should_update(runner) or not _all_finite(outputs or {}):
            return
        if not self._stepped or _loss_scale(runner) < self._scale:
            return
        steps = _accumulation_steps(runner)
        segmentor = unwrap(runner.model)
        for teacher, student in segmentor.pairs.items():
            decay = self.decay_at(
                math.ceil((runner.iter + 1) / steps),
                math.ceil(runner.max_iters / steps),
                teacher,
            )
            update_ema(
                segmentor.networks[teacher],
                segmentor.networks[student],
                decay,
                buffers=getattr(segmentor, 'average_buffers', True),
            )
            runner.message_hub.update_scalar(f'train/decay_{teacher}', decay)

    def decay_at(self, update: int, updates: int, teacher: str = '') -> float:
        """Compute the decay of a teacher at ``update`` (1-based) of ``updates``."""
        decay, schedule = self.decay, self.schedule
        decay = decay[teacher] if isinstance(decay, Mapping) else decay
        schedule = schedule[teacher] if isinstance(schedule, Mapping) else schedule
        if schedule == 'warmup':
            return min(1 - 1 / (update + 1), decay)
        if schedule == 'linear':
            return (1 - 1 / (update + 1)) * decay
        if schedule == 'cosine':
            return 1 - (1 - decay) * (1 + math.cos(math.pi * update / updates)) / 2
        return decay


def _by_teacher(name: str, given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return {f'{name}.{teacher}': value for teacher, value in given.items()}
    return {name: given}


def _should_update(runner: Runner) -> bool:
    """Return whether an optimizer step was due in this iteration."""
    engine: Any = runner.model  # DeepSpeed's engine steps the optimizer itself
    if hasattr(engine, 'was_step_applied'):
        return engine.was_step_applied()
    return runner.optim_wrapper.should_update()


def _accumulation_steps(runner: Runner) -> int:
    engine: Any = runner.model
    if hasattr(engine, 'gradient_accumulation_steps'):
        return engine.gradient_accumulation_steps()
    return getattr(runner.optim_wrapper, '_accumulative_counts', 1)


def _loss_scale(runner: Runner) -> float:
    """Return the loss scale of mixed precision; a skipped step decreases it."""
    scaler: Any = getattr(runner.optim_wrapper, 'loss_scaler', None)
    return scaler.get_scale() if scaler is not None else 1.0


def _all_finite(outputs: Mapping[str, Any]) -> bool:
    values = [torch.as_tensor(v).detach() for k, v in outputs.items() if 'loss' in k]
    return all(bool(value.isfinite().all()) for value in values)

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap, update_ema
from mmseg_wsss.registry import HOOKS

SCHEDULES = ('warmup', 'linear', 'cosine', 'constant')


@HOOKS.register_module()
class MeanTeacherHook(Hook):
    """Move the teachers of a segmentor after each step.

    ``teacher <- decay * teacher + (1 - decay) * student`` for every pair that the
    segmentor names, parameters and buffers. Updates are counted from the iteration, so
    there is nothing to save. No update is made where the optimizer made none: while
    gradients accumulate, after a loss that is not finite, and where mixed precision
    skipped a step. It also tells the segmentor the ``progress`` of the training.
    Source: mkd.md, sections 5 and 12.

    Args:
        decay: Weight of the old teacher in [0, 1] (MMEngine's ``momentum`` is
            ``1 - decay``); a dict gives each teacher its own.
        schedule: Decay of update t = 1, 2, ...: ``'warmup'`` is
            ``min(1 - 1 / (t + 1), decay)``, ``'linear'`` ``(1 - 1 / (t + 1)) * decay``,
            ``'cosine'`` rises from ``decay`` to 1 at the end, ``'constant'`` stays. A
            dict gives each teacher its own.

    Raises:
        ValueError: If a decay or a schedule has no meaning.
    """

    def __init__(
        self,
        decay: float | Mapping[str, float] = 0.999,
        schedule: str | Mapping[str, str] = 'warmup',
    ) -> None:
        decays = decay.values() if isinstance(decay, Mapping) else [decay]
        schedules = schedule.values() if isinstance(schedule, Mapping) else [schedule]
        if not all(0 <= value <= 1 for value in decays):
            raise ValueError(f'decay must lie in [0, 1], got {decay}')
        if not set(schedules) <= set(SCHEDULES):
            raise ValueError(f'schedule must be out of {SCHEDULES}, got {schedule}')
        self.decay = decay
        self.schedule = schedule
        self._stepped = True

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
                f'{type(segmentor).__name__}'
            )
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
        """Tell the segmentor how far the training is."""
        unwrap(runner.model).progress = (runner.iter + 1) / runner.max_iters
        self._scale = _loss_scale(runner)
        self._stepped = not self._watched

    def _note_step(self, optimizer: Any, *_: Any) -> None:
        """Called by the optimizer, not where mixed precision skips a step.

        A fused optimizer is called all the same, and skips it by itself.
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
        """Move every teacher towards its student."""
        if not runner.optim_wrapper.should_update() or not _all_finite(outputs or {}):
            return
        if not self._stepped or _loss_scale(runner) < self._scale:
            return
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        segmentor = unwrap(runner.model)
        settings = segmentor.train_cfg or {}
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
                buffers=settings.get('teacher_mode', 'eval') == 'eval',
            )
            runner.message_hub.update_scalar(f'train/decay_{teacher}', decay)

    def decay_at(self, update: int, updates: int, teacher: str = '') -> float:
        """Decay of a teacher's 1-based ``update`` out of ``updates``."""
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


def _loss_scale(runner: Runner) -> float:
    """Scale of mixed precision's losses, which falls where it skips a step."""
    scaler: Any = getattr(runner.optim_wrapper, 'loss_scaler', None)
    return scaler.get_scale() if scaler is not None else 1.0


def _all_finite(outputs: Mapping[str, Any]) -> bool:
    values = [torch.as_tensor(v).detach() for k, v in outputs.items() if 'loss' in k]
    return all(bool(value.isfinite().all()) for value in values)

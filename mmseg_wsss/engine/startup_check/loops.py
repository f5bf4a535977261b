"""Check loops, samplers, schedules, phases and checkpoints against each other."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.runner import EpochBasedTrainLoop
from mmseg.evaluation import IoUMetric
from torch import nn

from mmseg_wsss.datasets.samplers import EndlessSampler, MultiSourceSampler
from mmseg_wsss.models.utils import phases_of, unwrap

from ..loops import TeacherStudentValLoop
from .problem import Problem

ENDLESS = (EndlessSampler, MultiSourceSampler, InfiniteSampler)
ITER_LOOP = (
    "train_cfg = dict(type='IterBasedTrainLoop', max_iters=..., val_interval=...)"
)
IOU_KEYS = {
    'mIoU': ('mIoU', 'mAcc'),
    'mDice': ('mDice', 'mAcc'),
    'mFscore': ('mFscore', 'mPrecision', 'mRecall'),
}


def check_loop(loop: Any, hooks: Sequence[Hook]) -> Iterator[Problem]:
    """Check that epochs end, and that hooks count them only in an epoch-based loop.

    Args:
        loop: Training loop.
        hooks: Hooks of the runner.
    """
    sampler = loop.dataloader.sampler
    if isinstance(loop, EpochBasedTrainLoop):
        if isinstance(sampler, ENDLESS):
            yield Problem(
                f'{type(loop).__name__} with {type(sampler).__name__}, which never '
                'ends an epoch: no validation, no checkpoint, no end',
                f'set {ITER_LOOP}',
            )
        return
    for hook in hooks:
        if isinstance(hook, CheckpointHook) and hook.by_epoch:
            yield Problem(
                f'{type(hook).__name__} has by_epoch=True (the default) in an '
                'iteration-based loop and saves nothing before the end',
                'set default_hooks.checkpoint.by_epoch=False',
            )


def check_validation(loop: Any) -> Iterator[Problem]:
    """Check that a validation ends.

    Args:
        loop: Validation loop.
    """
    sampler = loop.dataloader.sampler
    if isinstance(sampler, ENDLESS):
        yield Problem(
            f'val_dataloader has {type(sampler).__name__}, which never ends',
            "set val_dataloader.sampler = dict(type='DefaultSampler', shuffle=False)",
        )


def check_batch(loop: Any) -> Iterator[Problem]:
    """Compare the batch size of the data loader with its sampler's."""
    loader = loop.dataloader
    wanted = getattr(loader.sampler, 'batch_size', None)
    if wanted is not None and loader.batch_size != wanted:
        yield Problem(
            f'train_dataloader has batch_size={loader.batch_size}, its '
            f'{type(loader.sampler).__name__} batch_size={wanted}: the ratio of the '
            'sources changes from batch to batch',
            f'set both to {wanted}',
        )


def check_accumulation(runner: Any) -> Iterator[Problem]:
    """Check that no checkpoint is saved while gradients accumulate.

    Args:
        runner: Runner of a training run.
    """
    steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook) or hook.by_epoch:
            continue
        saves = {'default_hooks.checkpoint.interval': hook.interval}
        if hook.save_best and runner.val_loop is not None:
            saves['train_cfg.val_interval'] = runner.train_loop.val_interval
        for key, interval in saves.items():
            if interval > 0 and interval % steps:
                yield Problem(
                    f'a checkpoint is saved every {interval} iterations, a step of '
                    f'the optimizer takes {steps}: resuming would lose gradients',
                    f'set {key} to a multiple of {steps}',
                )


def check_phases(
    model: nn.Module, hooks: Sequence[Hook], max_iters: int
) -> Iterator[Problem]:
    """Check that every phase has one hook, and begins before the end of training.

    Args:
        model: Unwrapped segmentor.
        hooks: Hooks of the runner.
        max_iters: Number of training iterations.
    """
    phase_hooks: list[Any] = [hook for hook in hooks if hasattr(hook, 'phase')]
    phases = phases_of(model)
    for name, phase in phases.items():
        if name not in {hook.phase for hook in phase_hooks}:
            yield Problem(
                f'no hook sets {type(model).__name__}.{name}',
                f'add {phase.hook} to custom_hooks',
            )
    for name, count in Counter(hook.phase for hook in phase_hooks).items():
        if count > 1:
            kinds = {type(hook).__name__ for hook in phase_hooks if hook.phase == name}
            yield Problem(
                f'{count} hooks set {type(model).__name__}.{name}: '
                f'{", ".join(sorted(kinds))}',
                'keep one of them in custom_hooks',
            )
    for hook in phase_hooks:
        for key in ('iters', 'begin'):
            value = getattr(hook, key, 0)
            if value >= max_iters:
                yield Problem(
                    f'{type(hook).__name__} has {key}={value}, the training ends at '
                    f'max_iters={max_iters}: the phase after it never comes',
                    f'set {key} below {max_iters}',
                )


def check_schedules(schedulers: Any, loop: Any) -> Iterator[Problem]:
    """Check that no schedule ends before the training does.

    Args:
        schedulers: Built schedulers of the runner: a list, or a dict of lists.
        loop: Training loop.
    """
    groups = schedulers if isinstance(schedulers, dict) else {'': schedulers or []}
    epochs = isinstance(loop, EpochBasedTrainLoop)
    for group in groups.values():
        if not epochs and any(item.by_epoch for item in group):
            yield Problem(
                'a param_scheduler has by_epoch=True (the default) in an '
                'iteration-based loop: it never steps before the end',
                'set by_epoch=False in param_scheduler',
            )
    for name, end in ends_of_schedules(schedulers):
        if end < loop.max_iters:
            yield Problem(
                f'the schedule of {name} ends at iteration {end}, the training at '
                f'max_iters={loop.max_iters}: its last value holds from there on',
                f'set end={loop.max_iters} in param_scheduler (a resumed run '
                'restores the end that was saved: start anew with load_from)',
            )


def ends_of_schedules(schedulers: Any) -> Iterator[tuple[str, int]]:
    """Yield each scheduled parameter, such as ``lr``, and its last iteration."""
    groups = schedulers if isinstance(schedulers, dict) else {'': schedulers or []}
    for group in groups.values():
        by_param: dict[str, list[int]] = {}
        for item in group:
            if not item.by_epoch:
                by_param.setdefault(item.param_name, []).append(item.end)
        for name, ends in by_param.items():
            if max(ends) < INF:
                yield name, max(ends)


def check_save_best(runner: Any) -> Iterator[Problem]:
    """Check that the validation returns the keys of ``save_best``."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    wanted = [
        key
        for hook in hooks
        if hook.save_best
        for key in hook.key_indicators
        if key != 'auto'
    ]
    if not wanted:
        return
    if runner.val_loop is None:
        yield Problem(
            f'save_best={wanted[0]!r} without validation',
            'set val_dataloader, val_cfg and val_evaluator, or save_best=None',
        )
        return
    known, open_prefixes = _validation_keys(runner)
    for key in wanted:
        if key in known or any(key.startswith(prefix) for prefix in open_prefixes):
            continue
        choices = sorted(known) + [f'{prefix}...' for prefix in sorted(open_prefixes)]
        yield Problem(
            f'save_best={key!r} is no result of the validation, which gives '
            f'{", ".join(choices)}',
            'set default_hooks.checkpoint.save_best to one of these',
        )


def _validation_keys(runner: Any) -> tuple[set[str], set[str]]:
    """Return the keys of the validation results, and the prefixes of unknown keys."""
    known: set[str] = set()
    open_prefixes: set[str] = set()
    for metric in runner.val_loop.evaluator.metrics:
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        if type(metric) is IoUMetric:
            names = [name for key in metric.metrics for name in IOU_KEYS[key]]
            known |= {f'{prefix}{name}' for name in ('aAcc', *names)}
        elif hasattr(metric, 'result_keys'):
            known |= {f'{prefix}{name}' for name in metric.result_keys()}
        else:
            open_prefixes.add(prefix)
    if isinstance(runner.val_loop, TeacherStudentValLoop):
        networks = runner.val_loop.predict_on or unwrap(runner.model).networks
        known = {f'{network}/{key}' for network in networks for key in known}
        open_prefixes = {f'{n}/{prefix}' for n in networks for prefix in open_prefixes}
    return known, open_prefixes

"""Report everything that is known to be wrong with a run before its first step."""

import logging
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from mmengine.logging import print_log

from mmseg_wsss.models.utils import unwrap

from .classes import check_classes, check_ignore_index, check_validation_classes
from .files import check_files, check_labels
from .inputs import (
    check_branches,
    check_hidden_masks,
    check_normalization,
    check_padding,
    check_pooling,
    check_preprocessor,
    check_tags,
)
from .loops import (
    check_accumulation,
    check_batch,
    check_loop,
    check_phases,
    check_save_best,
    check_schedules,
    check_validation,
)
from .problem import Problem, StartupError
from .remarks import (
    late_schedules,
    small_means,
    small_view_statistics,
    unmatched_keys,
)
from .strategy import check_strategy
from .weights import check_checkpoint

__all__ = [
    'Problem',
    'StartupError',
    'check_checkpoint',
    'check_once',
    'check_strategy',
    'find_problems',
]

_checked: WeakSet = WeakSet()


def check_once(runner: Any) -> None:
    """Log remarks on a run and raise its problems; do nothing if called again.

    Args:
        runner: Runner of a training run, with its loops built.

    Raises:
        StartupError: If the run has problems.
    """
    if runner in _checked:
        return
    _checked.add(runner)
    for remark in find_remarks(runner):
        print_log(remark, 'current', logging.WARNING)
    problems = list(find_problems(runner))
    if problems:
        raise StartupError(problems)


def find_remarks(runner: Any) -> Iterator[str]:
    """Yield remarks on settings of a run that are unusual but may be intended.

    Args:
        runner: Runner of a training run, with its loops built.
    """
    model = unwrap(runner.model)
    yield from late_schedules(runner.param_schedulers, runner.train_loop)
    yield from unmatched_keys(model, runner.cfg)
    yield from small_means(model)
    yield from small_view_statistics(model)


def find_problems(runner: Any) -> Iterator[Problem]:
    """Yield every problem that is known to make a run train incorrectly.

    Args:
        runner: Runner of a training run, with its loops built.
    """
    model, loop = unwrap(runner.model), runner.train_loop
    dataset = loop.dataloader.dataset
    metainfo = getattr(dataset, 'metainfo', {})
    yield from check_strategy(runner.model)
    yield from check_classes(model, metainfo)
    yield from check_ignore_index(model, dataset)
    yield from check_loop(loop, runner.hooks)
    yield from check_batch(loop)
    yield from check_accumulation(runner)
    yield from check_phases(model, runner.hooks, loop.max_iters)
    yield from check_schedules(runner.param_schedulers, loop)
    yield from check_save_best(runner)
    yield from check_padding(model, dataset)
    yield from check_branches(model, dataset)
    yield from check_pooling(model, loop.dataloader.sampler)
    yield from check_tags(model, dataset)
    yield from check_hidden_masks(dataset)
    yield from check_normalization(model, dataset)
    yield from check_preprocessor(runner.cfg)
    yield from check_files(dataset, 'training')
    if runner.val_loop is not None:
        yield from check_validation(runner.val_loop)
        validation = runner.val_loop.dataloader.dataset
        yield from check_validation_classes(
            metainfo, getattr(validation, 'metainfo', metainfo)
        )
        yield from check_files(validation, 'validation')
        yield from check_labels(validation)

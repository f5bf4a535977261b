"""Atomic writing of checkpoints."""

import os
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import FlexibleRunner, IterBasedTrainLoop

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.files import atomic_write

VALIDATED = '.last_validation'


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` with atomic writes.

    MMEngine writes a checkpoint in place, and before that removes the files beyond
    ``max_keep_ckpts`` and the previous best one: a process that is killed meanwhile may
    leave no checkpoint to resume from. This hook writes a checkpoint under a temporary
    name (``.NAME.part``), renames it, updates ``last_checkpoint``, and removes older
    checkpoints last. Checkpoints that are not local files are written by MMEngine.

    A validation follows the checkpoint of its iteration. One that was not finished is
    made up for when the training is resumed, so that the best checkpoint is the same as
    without an interruption.

    Args:
        *args: Arguments of MMEngine's ``CheckpointHook``.
        **kwargs: Arguments of MMEngine's ``CheckpointHook``.
    """

    keep_ckpt_ids: deque[int]

    _training = False

    def before_train(self, runner: Any) -> None:
        """Do the validation of the iteration to resume from, if it is missing."""
        super().before_train(runner)
        self._training = True
        validated = [_last_validation(runner) if is_main_process() else 0]
        broadcast_object_list(validated)
        loop = runner.train_loop
        if runner.iter == 0 or not isinstance(loop, IterBasedTrainLoop):
            _note_validation(runner, 0)
        elif validated[0] < runner.iter and _validates(runner, loop):
            runner.val_loop.run()

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        """Save the best checkpoint, and note that the validation is finished."""
        super().after_val_epoch(runner, metrics)
        if self._training:
            _note_validation(runner, runner.iter)

    def after_train(self, runner: Any) -> None:
        """Later validations are none of the training."""
        super().after_train(runner)
        self._training = False

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        if not self._local():
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        filename = self.filename_tmpl.format(step)
        outdated = self._outdated(step)
        self.last_ckpt = os.path.join(self.out_dir, filename)
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        _AtomicRunner.of(runner).save_checkpoint(
            self.out_dir,
            filename,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            with atomic_write(Path(runner.work_dir, 'last_checkpoint'), 'w') as file:
                file.write(self.last_ckpt)
            for path in outdated:
                _remove(path)

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        if not self._local():
            super()._save_best_checkpoint(runner, metrics)
            return
        removals = _LaterRemovals(getattr(self, 'file_backend'))  # noqa: B009
        self.file_backend = removals
        try:
            super()._save_best_checkpoint(_AtomicRunner.of(runner), metrics)
        finally:
            self.file_backend = removals.backend
        kept = [getattr(self, 'best_ckpt_path', None)]
        kept += getattr(self, 'best_ckpt_path_dict', {}).values()
        for path in removals.paths:
            if path not in kept:
                _remove(path)

    def _local(self) -> bool:
        # A run that only validates has no backend.
        backend = getattr(self, 'file_backend', None)
        return self.file_client_args is None and isinstance(
            getattr(backend, 'backend', backend), LocalBackend
        )

    def _outdated(self, step: int) -> list[str]:
        """Register ``step`` as kept and return the files to remove for it."""
        if self.max_keep_ckpts <= 0:
            return []
        outdated = []
        if step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                oldest = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
                outdated.append(os.path.join(self.out_dir, oldest))
            self.keep_ckpt_ids.append(step)
        return outdated


class _AtomicRunner:
    """Runner that gives a checkpoint its final name when it is complete."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner

    @classmethod
    def of(cls, runner: Any) -> '_AtomicRunner':
        return runner if isinstance(runner, cls) else cls(runner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, **kwargs: Any
    ) -> None:
        """Save on every rank: with some strategies every rank writes a part."""
        part = f'.{filename}.part'
        with _counted_once(self._runner, kwargs['meta']):
            self._runner.save_checkpoint(out_dir, part, *args, **kwargs)
        barrier()
        if is_main_process():
            path = os.path.join(out_dir, filename)
            _flush(os.path.join(out_dir, part))
            if os.path.isdir(path):
                shutil.rmtree(path)
            os.replace(os.path.join(out_dir, part), path)
            _flush(out_dir)


@contextmanager
def _counted_once(runner: Any, meta: dict) -> Iterator[None]:
    """Let a FlexibleRunner note the iteration of ``meta``.

    It notes the next one, which is wrong after a validation: the loop has counted the
    iteration by then.
    """
    ahead = isinstance(runner, FlexibleRunner) and meta['iter'] == runner.iter
    loop = runner.train_loop
    ahead = ahead and isinstance(loop, IterBasedTrainLoop)
    loop._iter -= ahead
    try:
        yield
    finally:
        loop._iter += ahead


def _flush(path: str) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _validates(runner: Any, loop: IterBasedTrainLoop) -> bool:
    """Return whether the loop validates after the iterations so far."""
    last = loop.iter == loop.max_iters
    due = loop.iter % loop.val_interval == 0 or last
    return runner.val_loop is not None and loop.iter >= loop.val_begin and due


def _last_validation(runner: Any) -> int:
    path = Path(runner.work_dir, VALIDATED)
    return int(path.read_text()) if path.is_file() else 0


def _note_validation(runner: Any, iteration: int) -> None:
    if is_main_process():
        with atomic_write(Path(runner.work_dir, VALIDATED), 'w') as file:
            file.write(str(iteration))


class _LaterRemovals:
    """File backend that records removals instead of executing them."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.paths: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.paths.append(path)

    rmtree = remove


def _remove(path: str) -> None:
    """Remove a checkpoint; DeepSpeed writes folders."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)

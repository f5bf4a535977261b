"""Atomic writing of checkpoints."""

import os
import secrets
import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import FlexibleRunner, IterBasedTrainLoop

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.files import atomic_write

VALIDATED = '.last_validation'
STALE = 60 * 60  # seconds after which nobody writes to a temporary file any more


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` with atomic writes.

    MMEngine writes a checkpoint in place, and before that removes the files beyond
    ``max_keep_ckpts`` and the previous best one: a process that is killed meanwhile may
    leave no checkpoint to resume from. This hook writes a checkpoint under a temporary
    name (``.NAME.XXXX.part``), renames it, updates ``last_checkpoint``, and removes
    older checkpoints last. Temporary files of killed trainings are removed after an
    hour. Checkpoints that are not local files are written by MMEngine.

    A validation follows the checkpoint of its iteration. One that was not finished is
    made up for when the training is resumed, so that the best checkpoint is the same as
    without an interruption. Only files in the folder of the run are removed, also if it
    is a copy of another run's.

    Args:
        *args: Arguments of MMEngine's ``CheckpointHook``.
        **kwargs: Arguments of MMEngine's ``CheckpointHook``.
    """

    keep_ckpt_ids: deque[int]

    _training = False
    _token = ''  # in the names of temporary files, the same on all ranks

    def before_train(self, runner: Any) -> None:
        """Do the validation of the iteration to resume from, if it is missing."""
        super().before_train(runner)
        self._training = True
        if self._local():
            self._find_best()
        shared: list[Any] = [_last_validation(runner), secrets.token_hex(4)]
        broadcast_object_list(shared)
        validated, self._token = shared
        loop = runner.train_loop
        if runner.iter == 0 or not isinstance(loop, IterBasedTrainLoop):
            _note_validation(runner, 0)
            return
        # For MMEngine to save it once more if its validation finds it the best one:
        # the checkpoint has the best score.
        name = self.filename_tmpl.format(runner.iter)
        self.last_ckpt = os.path.join(self.out_dir, name)
        if validated < runner.iter and _validates(runner, loop):
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
        _AtomicRunner.of(runner, self._token).save_checkpoint(
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
            runner = _AtomicRunner.of(runner, self._token)
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = removals.backend
        kept = [getattr(self, 'best_ckpt_path', None)]
        kept += getattr(self, 'best_ckpt_path_dict', {}).values()
        for path in removals.paths:
            if path not in kept:
                _remove(path)

    def _find_best(self) -> None:
        """Look for the best checkpoints in the folder of the run.

        The paths that a resumed run has are those of the folder that was copied or
        renamed; MMEngine would remove the file of the original.
        """
        paths = getattr(self, 'best_ckpt_path_dict', {})
        for key, path in paths.items():
            paths[key] = path and os.path.join(self.out_dir, os.path.basename(path))
        if path := getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = os.path.join(self.out_dir, os.path.basename(path))

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

    def __init__(self, runner: Any, token: str) -> None:
        self._runner = runner
        self._token = token

    @classmethod
    def of(cls, runner: Any, token: str) -> '_AtomicRunner':
        return runner if isinstance(runner, cls) else cls(runner, token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, **kwargs: Any
    ) -> None:
        """Save on every rank: with some strategies every rank writes a part."""
        part = f'.{filename}.{self._token}.part'
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
            _remove_stale(out_dir)


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


def _remove_stale(folder: str) -> None:
    """Remove the temporary files of killed trainings, but not of one that runs."""
    for path in Path(folder).glob('.*.part'):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE:
                _remove(str(path))


def _remove(path: str) -> None:
    """Remove a checkpoint; DeepSpeed writes folders."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)

"""Write checkpoints atomically."""

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
STALE = 60 * 60  # seconds after which a temporary file counts as abandoned


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """Save checkpoints as MMEngine's ``CheckpointHook`` does, but atomically.

    MMEngine writes a checkpoint in place, after removing the files beyond
    ``max_keep_ckpts`` and the previous best one: a process that is killed meanwhile may
    leave no checkpoint to resume from. This hook writes a checkpoint under a temporary
    name (``.NAME.XXXX.part``), renames it, updates ``last_checkpoint``, and removes
    older checkpoints last. Temporary files of killed runs are removed once they are an
    hour old. On a file backend that is not local, it saves as MMEngine does.

    A folder, as DeepSpeed writes it, takes two renames to replace: if the process is
    killed between them, the old folder remains as ``.NAME.XXXX.old``, to be renamed.

    A validation starts after the checkpoint of its iteration has been saved. If a run
    was interrupted before the end of a validation, the resumed run repeats it first, so
    that both select the same best checkpoint as an uninterrupted run. Only files in the
    checkpoint folder of the run are removed, even if it is a copy of another run's.

    Args:
        *args: Arguments of MMEngine's ``CheckpointHook``.
        **kwargs: Arguments of MMEngine's ``CheckpointHook``.
    """

    keep_ckpt_ids: deque[int]

    _training = False
    _token = ''  # in the names of temporary files, the same on all ranks

    def before_train(self, runner: Any) -> None:
        """Run the validation of the resumed iteration, unless it was completed."""
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
        # If the validation finds a new best score, MMEngine saves the last checkpoint
        # again, since it stores the score; it needs the path to do so.
        name = self.filename_tmpl.format(runner.iter)
        self.last_ckpt = os.path.join(self.out_dir, name)
        if validated < runner.iter and _validates(runner, loop):
            runner.val_loop.run()

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        """Save the best checkpoint, and record that the validation is complete."""
        super().after_val_epoch(runner, metrics)
        if self._training:
            _note_validation(runner, runner.iter)

    def after_train(self, runner: Any) -> None:
        """Stop recording validations: later ones are not part of the training."""
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
                file.flush()
                os.fsync(file.fileno())
            _flush(runner.work_dir)
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
        """Point the paths of the best checkpoints to the folder of this run.

        After a work folder was copied or renamed, a resumed run still has the paths of
        the original one, and MMEngine would remove the original's files.
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
        """Register ``step`` as kept and return the checkpoints to remove in return."""
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
    """Proxy of a Runner that renames a checkpoint once it is complete."""

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
        """Save on every rank: with some strategies, each rank writes a part."""
        part = f'.{filename}.{self._token}.part'
        with _counted_once(self._runner, kwargs['meta']):
            self._runner.save_checkpoint(out_dir, part, *args, **kwargs)
        barrier()
        if is_main_process():
            path = os.path.join(out_dir, filename)
            _flush(os.path.join(out_dir, part))
            old = os.path.join(out_dir, f'.{filename}.{self._token}.old')
            if os.path.isdir(path):
                os.replace(path, old)
            os.replace(os.path.join(out_dir, part), path)
            _flush(out_dir)
            _remove(old)
            _remove_stale(out_dir)


@contextmanager
def _counted_once(runner: Any, meta: dict) -> Iterator[None]:
    """Make a FlexibleRunner save the iteration of ``meta``.

    It would save its own iteration plus 1, which is wrong after a validation: by then,
    the loop has already counted the iteration.
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
    """Flush a file, or the entries of a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _validates(runner: Any, loop: IterBasedTrainLoop) -> bool:
    """Return whether the loop validates after its current number of iterations."""
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
    """Remove the temporary files of killed runs, but not those of a running one."""
    for path in Path(folder).glob('.*.part'):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE:
                _remove(str(path))


def _remove(path: str) -> None:
    """Remove a checkpoint: a file, or a folder as DeepSpeed writes it."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)

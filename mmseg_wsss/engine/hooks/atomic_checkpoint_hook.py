"""Atomic writing of checkpoints."""

import os
import shutil
from collections import deque
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.files import atomic_write


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` with atomic writes.

    MMEngine writes a checkpoint in place, and before that removes the files beyond
    ``max_keep_ckpts`` and the previous best one: a process that is killed meanwhile may
    leave no checkpoint to resume from. This hook writes a checkpoint under a temporary
    name (``.NAME.part``), renames it, updates ``last_checkpoint``, and removes older
    checkpoints last. Checkpoints that are not local files are written by MMEngine.

    Args:
        *args: Arguments of MMEngine's ``CheckpointHook``.
        **kwargs: Arguments of MMEngine's ``CheckpointHook``.
    """

    keep_ckpt_ids: deque[int]

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
        self._runner.save_checkpoint(out_dir, part, *args, **kwargs)
        barrier()
        if is_main_process():
            path = os.path.join(out_dir, filename)
            if os.path.isdir(path):
                shutil.rmtree(path)
            os.replace(os.path.join(out_dir, part), path)


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

"""Checkpoints that lie on disk whole or not at all."""

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
    """MMEngine's ``CheckpointHook``, safe against a death at any moment.

    MMEngine writes a checkpoint in place, and removes the files beyond
    ``max_keep_ckpts``, and the previous best one, before it begins: a process that dies
    while writing can leave nothing to go on from. Here a checkpoint is written under a
    temporary name (``.NAME.part``), renamed, then noted in ``last_checkpoint``, and the
    older ones are removed last. Checkpoints that are not local files are left to
    MMEngine.

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
        # There is no backend yet where a run validates only.
        backend = getattr(self, 'file_backend', None)
        return self.file_client_args is None and isinstance(
            getattr(backend, 'backend', backend), LocalBackend
        )

    def _outdated(self, step: int) -> list[str]:
        """Count ``step`` among the kept ones; returns the files that it displaces."""
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
    """A runner whose checkpoints appear under their name only when they are whole."""

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
        """Every rank calls it: with some strategies every rank writes a part."""
        part = f'.{filename}.part'
        self._runner.save_checkpoint(out_dir, part, *args, **kwargs)
        barrier()
        if is_main_process():
            path = os.path.join(out_dir, filename)
            if os.path.isdir(path):
                shutil.rmtree(path)
            os.replace(os.path.join(out_dir, part), path)


class _LaterRemovals:
    """A file backend that notes what it shall remove instead of removing it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.paths: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.paths.append(path)

    rmtree = remove


def _remove(path: str) -> None:
    """Remove a checkpoint; those of DeepSpeed are folders."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)

import sys
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.progress import ProgressBar


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Show the progress of training and testing in place of log lines.

    On a terminal it shows a bar, elsewhere it prints a line every 10 seconds, on
    standard output and in the main process only. Use it with ``log_level = 'WARNING'``.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None

    def _start(self, text: str, total: int, done: int = 0) -> None:
        if is_main_process():
            self._bar = ProgressBar(text, total, done, sys.stdout)
            self._bar.__enter__()

    def _advance(self, note: str = '') -> None:
        if self._bar is not None:
            self._bar.advance(note)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.__exit__()
            self._bar = None

    def before_train(self, runner: Runner) -> None:
        """Start the bar at the current iteration, above 0 in a resumed run."""
        self._start('training', runner.max_iters, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Show the loss of the iteration."""
        loss = (outputs or {}).get('loss')
        self._advance('' if loss is None else f'loss {loss.item():.3f}')

    def after_train(self, runner: Runner) -> None:
        """Stop the bar."""
        self._stop()

    def before_test_epoch(self, runner: Runner) -> None:
        """Start the bar."""
        self._start('testing', len(runner.test_dataloader))

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Advance by a batch."""
        self._advance()

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Stop the bar."""
        self._stop()

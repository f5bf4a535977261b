from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Progress bar of training and testing, in place of log lines.

    Use it with ``log_level = 'WARNING'``. Only the main process shows it.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def _start(self, text: str, total: int, done: int = 0) -> None:
        if is_main_process():
            columns = [TextColumn('{task.description}'), BarColumn()]
            self._bar = Progress(
                *columns, MofNCompleteColumn(), TimeRemainingColumn(compact=True)
            )
            self._bar.add_task(text, total=total, completed=done)
            self._bar.start()

    def _advance(self, text: str | None = None) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=1, description=text)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def before_train(self, runner: Runner) -> None:
        """Start the bar at the current iteration."""
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
        self._advance(None if loss is None else f'training, loss {loss.item():6.3f}')

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

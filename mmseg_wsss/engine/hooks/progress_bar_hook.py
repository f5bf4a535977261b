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
    """A bar for training and for testing, in place of log lines.

    Use it with ``log_level = 'WARNING'``. Only the main process draws.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def _begin(self, text: str, total: int, done: int = 0) -> None:
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

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def before_train(self, runner: Runner) -> None:
        """Begin the bar, where the run goes on."""
        self._begin('training', runner.max_iters, runner.iter)

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
        """End the bar."""
        self._end()

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin the bar."""
        self._begin('testing', len(runner.test_dataloader))

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Count a batch."""
        self._advance()

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """End the bar."""
        self._end()

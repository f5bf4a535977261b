from typing import Any, ClassVar

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import Phase, unwrap

from ..startup_check import check_once


class PhaseHook(Hook):
    """Base class of the hooks that set a phase of a segmentor in every iteration.

    A subclass names the phase and computes its value from the iteration alone, so
    checkpoints need not store it.

    Attributes:
        phase: Name of the segmentor's :class:`~mmseg_wsss.models.utils.Phase`.

    Raises:
        TypeError: Before training, if the segmentor has no such phase.
    """

    phase: ClassVar[str]

    def value(self, runner: Runner) -> Any:
        """Compute the value of the phase in the current iteration."""
        raise NotImplementedError

    def before_train(self, runner: Runner) -> None:
        """Check that the segmentor has the phase."""
        model = unwrap(runner.model)
        if not isinstance(getattr(type(model), self.phase, None), Phase):
            raise TypeError(
                f'{type(self).__name__} sets {self.phase}, which '
                f'{type(model).__name__} does not have; remove the hook from '
                'custom_hooks'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Check the run, even without ``StartupCheckHook``."""
        check_once(runner)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the phase of this iteration."""
        setattr(unwrap(runner.model), self.phase, self.value(runner))

from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from .phase_hook import PhaseHook


@HOOKS.register_module()
class WeakWarmupHook(PhaseHook):
    """Train only the classifier during the first iterations.

    Sets ``segmentor.warmup``.

    Args:
        iters: Number of warm-up iterations; 0 for none.

    Raises:
        ValueError: If ``iters`` is negative.
        TypeError: If ``iters`` is no number; before training, if the segmentor
            has no phase ``warmup``.
    """

    phase = 'warmup'

    def __init__(self, iters: int) -> None:
        check_value('iters', iters, at_least=0)
        self.iters = iters

    def value(self, runner: Runner) -> bool:
        """Return whether the current iteration belongs to the warm-up."""
        return runner.iter < self.iters

from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from .phase_hook import PhaseHook


@HOOKS.register_module()
class WeakWarmupHook(PhaseHook):
    """Train the classifier alone during the first iterations.

    Sets ``segmentor.warmup``.

    Args:
        iters: Number of iterations of the warm-up; 0 for none.
    """

    phase = 'warmup'

    def __init__(self, iters: int) -> None:
        check_value('iters', iters, at_least=0)
        self.iters = iters

    def value(self, runner: Runner) -> bool:
        """Return whether the present iteration belongs to the warm-up."""
        return runner.iter < self.iters

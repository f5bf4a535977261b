from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from .phase_hook import PhaseHook


@HOOKS.register_module()
class AffinityLabelHook(PhaseHook):
    """Propagate AFA's pseudo-labels with the affinity, starting at an iteration.

    Sets ``segmentor.use_affinity``. Source: Ru et al., "Learning Affinity from
    Attention", released code; https://arxiv.org/abs/2203.02664.

    Args:
        begin: First iteration (0-based) with the random walk, at least 0.

    Raises:
        ValueError: If ``begin`` is negative.
        TypeError: If ``begin`` is no number; before training, if the segmentor
            has no phase ``use_affinity``.
    """

    phase = 'use_affinity'

    def __init__(self, begin: int) -> None:
        check_value('begin', begin, at_least=0)
        self.begin = begin

    def value(self, runner: Runner) -> bool:
        """Return whether the labels of the current iteration use the affinity."""
        return runner.iter >= self.begin

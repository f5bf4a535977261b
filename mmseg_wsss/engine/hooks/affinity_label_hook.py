from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from .phase_hook import PhaseHook


@HOOKS.register_module()
class AffinityLabelHook(PhaseHook):
    """Spread AFA's pseudo-labels along the learned affinity from some iteration on.

    Sets ``segmentor.use_affinity``. Source: Ru et al., "Learning Affinity from
    Attention", released code; https://arxiv.org/abs/2203.02664.

    Args:
        begin: First iteration with the random walk.
    """

    phase = 'use_affinity'

    def __init__(self, begin: int) -> None:
        check_value('begin', begin, at_least=0)
        self.begin = begin

    def value(self, runner: Runner) -> bool:
        """Return whether the labels of the present iteration use the affinity."""
        return runner.iter >= self.begin

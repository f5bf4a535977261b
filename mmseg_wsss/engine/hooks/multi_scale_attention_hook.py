from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from .phase_hook import PhaseHook


@HOOKS.register_module()
class MultiScaleAttentionHook(PhaseHook):
    """Switch the multi-scale attentive module of RCM + MAM on from some iteration on.

    Sets ``segmentor.use_mam``, which is read if both modules have a weight above 0.

    Args:
        begin: First iteration with the multi-scale attentive loss.
    """

    phase = 'use_mam'

    def __init__(self, begin: int) -> None:
        check_value('begin', begin, at_least=0)
        self.begin = begin

    def value(self, runner: Runner) -> bool:
        """Return whether the present iteration has the multi-scale attentive loss."""
        return runner.iter >= self.begin

from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from .phase_hook import PhaseHook


@HOOKS.register_module()
class MultiScaleAttentionHook(PhaseHook):
    """Switch the multi-scale attentive module of RCM + MAM on from some iteration on.

    Sets ``segmentor.use_mam``, which is read if both modules have a weight above 0.

    Args:
        begin: First iteration with the multi-scale attentive loss.
        restart_support: Whether SupportNet starts anew in this iteration, as a copy of
            MainNet with an empty memory, as in its authors' code.
    """

    phase = 'use_mam'

    def __init__(self, begin: int, restart_support: bool = False) -> None:
        check_value('begin', begin, at_least=0)
        self.begin = begin
        self.restart_support = restart_support

    def value(self, runner: Runner) -> bool:
        """Return whether the present iteration has the multi-scale attentive loss."""
        return runner.iter >= self.begin

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the phase of this iteration, and restart SupportNet in the first one."""
        super().before_train_iter(runner, batch_idx, data_batch)
        if self.restart_support and runner.iter == self.begin:
            unwrap(runner.model).restart_support()

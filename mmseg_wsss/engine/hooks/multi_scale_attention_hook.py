from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from .phase_hook import PhaseHook


@HOOKS.register_module()
class MultiScaleAttentionHook(PhaseHook):
    """Enable the multi-scale attentive module of RCM + MAM, starting at an iteration.

    Sets ``segmentor.use_mam``, which has an effect only if the weights of both losses
    are above 0. Source: Yoon et al., "Exploring Pixel-level Self-supervision for Weakly
    Supervised Semantic Segmentation", https://arxiv.org/abs/2112.05351.

    Args:
        begin: First iteration (0-based) with the multi-scale attentive loss, at least
            0.
        restart_support: Whether to reset SupportNet to a copy of MainNet with an empty
            memory in this iteration, as in the authors' code.

    Raises:
        ValueError: If ``begin`` is negative.
        TypeError: If ``begin`` is no number; before training, if the segmentor
            has no phase ``use_mam``.
    """

    phase = 'use_mam'

    def __init__(self, begin: int, restart_support: bool = False) -> None:
        check_value('begin', begin, at_least=0)
        self.begin = begin
        self.restart_support = restart_support

    def value(self, runner: Runner) -> bool:
        """Return whether the current iteration has the multi-scale attentive loss."""
        return runner.iter >= self.begin

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the phase of this iteration, and reset SupportNet in the first one."""
        super().before_train_iter(runner, batch_idx, data_batch)
        if self.restart_support and runner.iter == self.begin:
            unwrap(runner.model).restart_support()

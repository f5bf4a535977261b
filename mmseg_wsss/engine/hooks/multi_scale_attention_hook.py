from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class MultiScaleAttentionHook(Hook):
    """Switch RCM + MAM's second module on from some iteration on.

    Sets ``segmentor.use_mam``. Nothing has to be saved: it follows from the iteration.
    Source: rcm_mam.md, section 8, the single run.

    Args:
        begin: First iteration with the multi-scale attentive loss.
    """

    def __init__(self, begin: int) -> None:
        if begin < 0:
            raise ValueError(f'begin must not be negative, got {begin}')
        self.begin = begin

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Tell the segmentor whether this iteration has the second module."""
        unwrap(runner.model).use_mam = runner.iter >= self.begin

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class AffinityLabelHook(Hook):
    """Let AFA's pseudo-labels follow the learnt affinity from some iteration on.

    Sets ``segmentor.use_affinity``. Nothing has to be saved: it follows from the
    iteration.

    Args:
        begin: First iteration with the random walk.
    """

    def __init__(self, begin: int) -> None:
        if begin < 0:
            raise ValueError(f'begin must not be negative, got {begin}')
        self.begin = begin

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Tell the segmentor whether this iteration uses the affinity."""
        unwrap(runner.model).use_affinity = runner.iter >= self.begin

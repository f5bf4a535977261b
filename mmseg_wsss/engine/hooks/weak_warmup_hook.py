from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class WeakWarmupHook(Hook):
    """Train the classifier alone during the first iterations.

    Sets ``segmentor.warmup``. Nothing has to be saved: it follows from the iteration.

    Args:
        iters: Number of iterations of the warm-up.
    """

    def __init__(self, iters: int) -> None:
        if iters < 0:
            raise ValueError(f'iters must not be negative, got {iters}')
        self.iters = iters

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Tell the segmentor whether this iteration belongs to the warm-up."""
        unwrap(runner.model).warmup = runner.iter < self.iters

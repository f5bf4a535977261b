from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.datasets.sample_key import seed_all
from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed every generator from (seed, rank, iteration) before each training step.

    Dropout, random points and masks then depend on the iteration alone: a resumed run
    equals an uninterrupted one without any saved generator state.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed ``random``, NumPy and torch."""
        seed_all(runner.seed or 0, get_rank(), runner.iter)

from typing import Any

import torch
from mmengine.dist import all_gather, get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.datasets.sample_key import seed_all
from mmseg_wsss.datasets.samplers import StreamSampler
from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed every generator from (seed, rank, iteration) before each training step.

    Dropout, random points and masks then depend only on these three: a resumed run
    equals an uninterrupted one, although no generator state is saved. Checkpoints store
    the seed and the number of draws of ``EndlessSampler`` or ``MultiSourceSampler``, so
    that a run resumed with another seed or another number of processes neither skips
    nor repeats an image.

    Raises:
        RuntimeError: Before training, if the processes start at different iterations.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._draws: list[int] | None = None
        self._draw_seed: int | None = None

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed ``random``, NumPy and torch."""
        seed_all(runner.seed or 0, get_rank(), runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the seed and the number of draws of all processes."""
        loader: Any = getattr(runner._train_loop, 'dataloader', None)
        sampler = getattr(loader, 'sampler', None)
        if isinstance(sampler, StreamSampler):
            taken = checkpoint['meta']['iter'] * loader.batch_size
            checkpoint['meta']['draws'] = sampler.draws_after(taken)
            checkpoint['meta']['draw_seed'] = sampler.seed

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read the number of draws and their seed."""
        meta = checkpoint.get('meta', {})
        self._draws, self._draw_seed = meta.get('draws'), meta.get('draw_seed')

    def before_train(self, runner: Runner) -> None:
        """Continue after the draws of the checkpoint, if training is resumed.

        Raises:
            RuntimeError: If the processes start at different iterations.
        """
        begins = [int(begin) for begin in all_gather(torch.tensor([runner.iter]))]
        if len(set(begins)) > 1:
            raise RuntimeError(
                f'the processes begin with iterations {begins}: all of them need the '
                f'same work folder, found {runner.work_dir}'
            )
        if runner.iter == 0 or self._draws is None:
            return
        loader: Any = runner.train_loop.dataloader
        if isinstance(loader.sampler, StreamSampler):
            if self._draw_seed is not None:
                loader.sampler.seed = self._draw_seed
            loader.sampler.resume(self._draws, runner.iter * loader.batch_size)
            _restart(runner.train_loop)


def _restart(loop: Any) -> None:
    """Restart the workers of a loop if they have already drawn from the sampler.

    MMEngine 0.10.7 starts them when it builds the loop, before the sampler is resumed.
    """
    batches: Any = getattr(loop, 'dataloader_iterator', None)
    if getattr(batches, '_iterator', None) is not None:
        loop.dataloader_iterator = type(batches)(loop.dataloader)

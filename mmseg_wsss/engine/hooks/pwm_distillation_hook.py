import numpy as np
from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import pwm_signal, unwrap
from mmseg_wsss.registry import HOOKS

MODES = ('pwm', 'random', 'always', 'never')


@HOOKS.register_module()
class PWMDistillationHook(Hook):
    """Choose the teacher that speaks to ASDT's student in each iteration.

    Sets ``segmentor.pwm_high`` (True: teacher B). The signal depends on the iteration
    alone, so there is nothing to save. The segmentor logs it as ``pwm``. Source:
    asdt.md, sections 7.1 and 13.

    Args:
        period: Period T of the wave in iterations.
        divisor: N; the pulse lasts T / N iterations.
        begin: Last iteration of the warm-up, in which teacher A speaks alone.
        mode: ``'pwm'`` is the paper's wave. ``'random'`` draws teacher B with
            probability 1 / N, ``'always'`` takes it after the warm-up, and ``'never'``
            switches the distillation off (what the released code does).
    """

    def __init__(
        self,
        period: int = 150,
        divisor: int = 6,
        begin: int = 1000,
        mode: str = 'pwm',
    ) -> None:
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
        pwm_signal(0, period, divisor, begin)  # names a bad argument at once
        self.period, self.divisor, self.begin = period, divisor, begin
        self.mode = mode
        self._seed = 0

    def before_train(self, runner: Runner) -> None:
        """Check that the segmentor listens to the signal; agree on a seed."""
        if not hasattr(unwrap(runner.model), 'pwm_high'):
            raise TypeError(
                'PWMDistillationHook needs a segmentor with the attribute pwm_high, '
                f'such as ASDT, got {type(unwrap(runner.model)).__name__}'
            )
        seed = [runner.seed or 0]  # with diff_rank_seed each rank has its own
        broadcast_object_list(seed)
        self._seed = seed[0]

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Set the teacher of this iteration."""
        unwrap(runner.model).pwm_high = self.signal(runner.iter, self._seed)

    def signal(self, iteration: int, seed: int = 0) -> bool:
        """Whether teacher B speaks in the 0-based ``iteration``."""
        if self.mode == 'pwm':
            return pwm_signal(iteration, self.period, self.divisor, self.begin)
        if self.mode == 'random':
            draw = np.random.default_rng((seed, iteration)).random()
            return iteration > self.begin and draw * self.divisor < 1
        return self.mode == 'always' and iteration > self.begin

import numpy as np
from mmengine.dist import broadcast_object_list
from mmengine.runner import Runner

from mmseg_wsss.models.utils import pwm_signal
from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.settings import check_value

from .phase_hook import PhaseHook


@HOOKS.register_module()
class PWMDistillationHook(PhaseHook):
    """Choose the teacher that supervises ASDT's student in each iteration.

    Sets ``segmentor.pwm_high`` (True: teacher B), which the segmentor logs as ``pwm``;
    see :func:`.pwm_signal` for the formula. Source: Zhang et al., "Weakly Supervised
    Semantic Segmentation via Alternate Self-Dual Teaching",
    https://arxiv.org/abs/2112.09459.

    Args:
        period: Period T of the wave in iterations, at least 1.
        divisor: N, at least 1; a pulse lasts T / N iterations.
        begin: Last iteration (0-based) of the warm-up, during which only teacher A
            supervises the student; at least 0.
        mode: ``'pwm'`` is the paper's wave. After the warm-up, ``'random'`` selects
            teacher B with probability 1 / N, the same on all ranks, and ``'always'``
            selects it in every iteration. ``'never'`` disables the distillation, as in
            the released code.

    Raises:
        ValueError: If ``mode`` is unknown or a number is below its bound.
        TypeError: If a number is not an integer; before training, if the segmentor has
            no phase ``pwm_high``.
    """

    phase = 'pwm_high'

    def __init__(
        self,
        period: int = 150,
        divisor: int = 6,
        begin: int = 1000,
        mode: str = 'pwm',
    ) -> None:
        check_value('mode', mode, choices=('pwm', 'random', 'always', 'never'))
        pwm_signal(0, period, divisor, begin)  # checks the arguments
        self.period, self.divisor, self.begin = period, divisor, begin
        self.mode = mode
        self._seed = 0

    def before_train(self, runner: Runner) -> None:
        """Check the segmentor, and agree on a seed."""
        super().before_train(runner)
        seed = [runner.seed or 0]  # with diff_rank_seed each rank has its own
        broadcast_object_list(seed)
        self._seed = seed[0]

    def value(self, runner: Runner) -> bool:
        """Return whether teacher B supervises in the current iteration."""
        return self.signal(runner.iter, self._seed)

    def signal(self, iteration: int, seed: int = 0) -> bool:
        """Return whether teacher B supervises in the 0-based ``iteration``."""
        if self.mode == 'pwm':
            return pwm_signal(iteration, self.period, self.divisor, self.begin)
        if self.mode == 'random':
            draw = np.random.default_rng((seed, iteration)).random()
            return iteration > self.begin and draw * self.divisor < 1
        return self.mode == 'always' and iteration > self.begin

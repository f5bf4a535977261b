"""Pulse-width modulation (PWM) of ASDT."""


def pwm_signal(
    iter: int, period: int = 150, divisor: int = 6, begin: int = 1000
) -> bool:
    """Return the value of the square wave that selects the teacher in ASDT.

    It is high in the first ``1 / divisor`` of each period, after the warm-up::

        s(t) = t > begin and floor(t / (T / N)) mod N == 0
             = t > begin and (t mod T) * N < T

    Periods are counted from iteration 0, not from ``begin``, so with the defaults the
    first pulse is 1050 to 1074. The code uses the second form, in integers. Source:
    the pulse-width wave-like selection signal of Zhang et al., "Weakly Supervised
    Semantic Segmentation via Alternate Self-Dual Teaching" (ASDT),
    https://arxiv.org/abs/2112.09459.

    Args:
        iter: 0-based iteration t, at least 0.
        period: Period T in iterations, at least 1.
        divisor: N, at least 1; the pulse lasts T / N iterations.
        begin: Last iteration of the warm-up, at least 0.

    Returns:
        Whether the signal is high.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is below its bound.

    Example:
        >>> [iter for iter in range(2000) if pwm_signal(iter)][:3]
        [1050, 1051, 1052]
    """
    bounds = (
        ('iter', iter, 0),
        ('period', period, 1),
        ('divisor', divisor, 1),
        ('begin', begin, 0),
    )
    for name, value, bound in bounds:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f'{name} must be an int, got {value!r}')
        if value < bound:
            raise ValueError(f'{name} must be at least {bound}, got {value}')
    return iter > begin and (iter % period) * divisor < period

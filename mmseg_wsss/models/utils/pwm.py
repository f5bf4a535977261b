def pwm_signal(
    iter: int, period: int = 150, divisor: int = 6, begin: int = 1000
) -> bool:
    """Square wave over iterations that chooses the teacher (asdt.md, section 7.1).

    High in the first ``1 / divisor`` of each period, once the warm-up is over::

        s(t) = t > begin and floor(t / (T / N)) mod N == 0
             = t > begin and (t mod T) * N < T

    Periods are counted from iteration 0, not from ``begin``, so with the defaults the
    first pulse is 1050 to 1074. The second form is computed: integers only.

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

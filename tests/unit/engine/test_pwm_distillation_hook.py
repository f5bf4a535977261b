"""PWMDistillationHook: which teacher supervises in each mode."""

import pytest

from mmseg_wsss.engine.hooks import PWMDistillationHook


def test_always_begins_after_the_warm_up():
    hook = PWMDistillationHook(mode='always', begin=3)
    assert [hook.signal(t) for t in range(6)] == [False] * 4 + [True] * 2


def test_never():
    hook = PWMDistillationHook(mode='never', begin=0)
    assert not any(hook.signal(t) for t in range(2000))


def test_random_draws_teacher_b_as_often_as_the_wave():
    """Six standard deviations of 19,000 draws with a probability of 1 / 6 are 0.016."""
    hook = PWMDistillationHook(mode='random', divisor=6, begin=1000)
    draws = [hook.signal(t) for t in range(20000)]
    assert not any(draws[:1001])
    assert sum(draws[1001:]) / len(draws[1001:]) == pytest.approx(1 / 6, abs=0.016)
    assert draws == [hook.signal(t) for t in range(20000)]
    assert draws != [hook.signal(t, seed=1) for t in range(20000)]

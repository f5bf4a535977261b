import math

import pytest

from mmseg_wsss.models.utils import pwm_signal


def high(first: int, stop: int, **kwargs: int) -> list[int]:
    return [t for t in range(first, stop) if pwm_signal(t, **kwargs)]


def test_first_pulses_of_the_published_wave():
    assert high(0, 1050) == []
    assert high(1050, 1200) == list(range(1050, 1075))
    assert high(1200, 1350) == list(range(1200, 1225))


@pytest.mark.parametrize(('divisor', 'steps'), [(6, 3175), (3, 6350)])
def test_number_of_high_steps_in_the_published_schedule(divisor, steps):
    assert len(high(0, 20_000, divisor=divisor)) == steps


@pytest.mark.parametrize('period', [1, 7, 60, 150, 300])
@pytest.mark.parametrize('divisor', [1, 2, 3, 6, 10])
def test_equals_the_floor_form(period, divisor):
    for t in range(400):
        # floor(t / (T / N)) in integers: t * N // T
        floor_form = t > 100 and (t * divisor // period) % divisor == 0
        assert pwm_signal(t, period, divisor, begin=100) == floor_form


def test_pulse_lasts_the_rounded_up_share_of_a_period():
    assert len(high(150, 300, divisor=4, begin=0)) == math.ceil(150 / 4)


def test_divisor_of_one_is_high_throughout():
    assert high(0, 10, divisor=1, begin=3) == [4, 5, 6, 7, 8, 9]


def test_does_not_depend_on_what_was_asked_before():
    assert [pwm_signal(t) for t in (1060, 5, 1060)] == [True, False, True]


@pytest.mark.parametrize(
    ('kwargs', 'error', 'message'),
    [
        ({'iter': -1}, ValueError, 'iter must be at least 0, got -1'),
        ({'iter': 3, 'period': 0}, ValueError, 'period must be at least 1, got 0'),
        ({'iter': 3, 'divisor': 0}, ValueError, 'divisor must be at least 1, got 0'),
        ({'iter': 3, 'begin': -5}, ValueError, 'begin must be at least 0, got -5'),
        ({'iter': 3, 'divisor': 2.5}, TypeError, 'divisor must be an int, got 2.5'),
        ({'iter': True}, TypeError, 'iter must be an int, got True'),
    ],
)
def test_bad_arguments_name_themselves(kwargs, error, message):
    with pytest.raises(error, match=message):
        pwm_signal(**kwargs)

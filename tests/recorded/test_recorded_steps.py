"""Every method trains as it did when its steps were recorded."""

import pytest
import recorded_names
from deviations import REPLACED, differences, rtol
from record_steps import draws, recorded_draws, run_case
from recorded_cases import cases
from recorded_names import (
    STEPS,
    file_of,
    may_vanish,
    present_name,
    read,
    recorded_name,
)

CASES = cases()


@pytest.fixture(scope='module')
def same_draws() -> None:
    """Skip where torch draws other random numbers, as on another architecture."""
    if draws() != recorded_draws():
        pytest.skip('torch draws other random numbers here than in the recording')


@pytest.mark.parametrize('name', CASES)
def test_steps_are_those_recorded(name, same_draws):
    case = CASES[name]
    old, new = read(case.method)[name], run_case(case)
    rows = list(differences(case.method, old, new))
    assert len(rows) > 10
    wrong = [
        f'{place}: {deviation:.1e}'
        for place, deviation in rows
        if deviation > rtol(case, place)
    ]
    assert not wrong, '\n'.join([f'{len(wrong)} of {len(rows)} values', *wrong[:20]])


def test_every_recorded_case_is_run():
    recorded = {
        name: method
        for method in {case.method for case in CASES.values()}
        for name in read(method)
    }
    assert recorded == {name: case.method for name, case in CASES.items()}
    assert {path.stem for path in STEPS.glob('*.json')} == {
        'draws',
        *(file_of(method).stem for method in recorded.values()),
    }


def test_replaced_cases_exist_and_have_a_reason():
    assert REPLACED.keys() <= CASES.keys()
    assert all(REPLACED.values())


def test_a_missing_value_is_noticed():
    old = read('MKD')['MKD']
    step, *later = old['steps']
    kept = {key: value for key, value in step.items() if key != 'loss_st'}
    rows = dict(differences('MKD', old, {**old, 'steps': [kept, *later]}))
    assert [place for place, value in rows.items() if value] == [
        'step 0/loss_st: missing'
    ]


def test_only_what_is_listed_may_vanish():
    assert may_vanish('CAM', 'decode_head.conv_seg.weight')
    assert may_vanish('MKD', 'loss_idle')
    assert not may_vanish('ASDT', 'decode_head.conv_seg.weight')
    assert not may_vanish('CAM', 'loss_cls')


def test_renamed_values_are_found(monkeypatch):
    renamed = {'isda': 'ratio_isda', 'support.': 'teacher.'}
    monkeypatch.setattr(recorded_names, 'RENAMED', renamed)
    for old, new in (
        ('isda', 'ratio_isda'),
        ('support.backbone.conv1.weight', 'teacher.backbone.conv1.weight'),
        ('isda.student1.mean', 'isda.student1.mean'),
    ):
        assert present_name(old) == new
        assert recorded_name(new) == old

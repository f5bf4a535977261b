"""Settings are validated when they are built, at every depth."""

import math
from dataclasses import dataclass, field

import pytest
from mmengine.config import ConfigDict

from mmseg_wsss.utils.settings import check_value, read_settings, setting


@dataclass(frozen=True)
class Boxes:
    num: int = setting(3, at_least=1)
    area: tuple[float, float] = setting((0.25, 0.5), above=0, at_most=1, ascending=True)
    owner: str = setting('own', choices=('own', 'partner'))


@dataclass(frozen=True)
class Train:
    weight: float = setting(1.0, at_least=0)
    on: tuple[str, ...] = setting(('a', 'b'), choices=('a', 'b', 'c'))
    limit: int | None = setting(None, at_least=1)
    pad: bool = setting(True)
    boxes: Boxes | None = setting(Boxes(num=1))
    other: Boxes | None = setting(None)
    scales: tuple[float, ...] = setting((1.0, 2.0), above=0, min_length=2)
    extra: dict = field(default_factory=dict)


def read(**given) -> Train:
    return read_settings(Train, given, 'train_cfg')


def test_defaults():
    assert read() == read_settings(Train, None, 'train_cfg') == Train()


def test_values_replace_defaults():
    found = read(weight=2, on=['c'], limit=5, pad=False, scales=[1, 2.5])
    assert found == Train(2, on=('c',), limit=5, pad=False, scales=(1, 2.5))


def test_a_dict_of_mmengine_is_read():
    given = ConfigDict(weight=0.25, boxes=dict(area=[0.1, 0.2]))
    found = read_settings(Train, given, 'train_cfg')
    assert found == Train(0.25, boxes=Boxes(1, (0.1, 0.2)))


def test_a_nested_dict_is_merged_over_the_default_of_its_field():
    assert read(boxes={'owner': 'partner'}).boxes == Boxes(1, owner='partner')
    assert read(other={'owner': 'partner'}).other == Boxes(3, owner='partner')
    assert read(boxes=None).boxes is None
    assert read(boxes=Boxes(7)).boxes == Boxes(7)


def test_other_defaults():
    default = Train(weight=3.0, boxes=Boxes(5))
    found = read_settings(Train, {'boxes': {'num': 2}}, 'x', default)
    assert found == Train(weight=3.0, boxes=Boxes(2))


@pytest.mark.parametrize(
    ('given', 'error', 'message'),
    [
        ({'wieght': 1}, KeyError, "train_cfg has no key 'wieght'; did you mean 'weig"),
        ({'q': 1}, KeyError, r"train_cfg has no key 'q' \(known: \['boxes'"),
        ({'boxes': {'numb': 1}}, KeyError, "train_cfg.boxes has no key 'numb'"),
        ({'weight': -1}, ValueError, 'train_cfg.weight must be at least 0, got -1'),
        ({'weight': math.nan}, ValueError, 'train_cfg.weight must be finite, got nan'),
        ({'weight': math.inf}, ValueError, 'train_cfg.weight must be finite, got inf'),
        ({'weight': '1'}, TypeError, "train_cfg.weight must be a number, got '1'"),
        ({'weight': True}, TypeError, 'train_cfg.weight must be a number, got True'),
        ({'weight': None}, TypeError, 'train_cfg.weight must be a number, got None'),
        ({'limit': 2.0}, TypeError, 'train_cfg.limit must be an integer, got 2.0'),
        ({'limit': 0}, ValueError, 'train_cfg.limit must be at least 1, got 0'),
        ({'pad': 1}, TypeError, 'train_cfg.pad must be a boolean, got 1'),
        ({'on': 'a'}, TypeError, "train_cfg.on must be a sequence, got 'a'"),
        ({'on': ['a', 'd']}, ValueError, r"on\[1\] must be one of 'a', 'b', 'c', got"),
        ({'on': ['a', 1]}, TypeError, r'train_cfg.on\[1\] must be a string, got 1'),
        ({'boxes': 3}, TypeError, 'train_cfg.boxes must be a dict, got 3'),
        (
            {'boxes': {'owner': 'patner'}},
            ValueError,
            "owner must .* got 'patner'",
        ),
        ({'boxes': {'area': (0.5, 0.2)}}, ValueError, r'area must ascend, got \(0.5,'),
        ({'boxes': {'area': (0, 1)}}, ValueError, r'boxes.area\[0\] must be above 0'),
        ({'boxes': {'area': (1,)}}, ValueError, r'boxes.area must have 2 items, got'),
        ({'scales': [1]}, ValueError, r'train_cfg.scales must have at least 2 items'),
        ({'scales': [1, 0]}, ValueError, r'scales\[1\] must be above 0, got 0'),
        ({'extra': 1}, TypeError, 'train_cfg.extra must be .*dict.*, got 1'),
    ],
)
def test_errors_have_the_path_and_the_value(given, error, message):
    with pytest.raises(error, match=message):
        read(**given)


def test_settings_that_are_no_dict():
    with pytest.raises(TypeError, match=r'train_cfg must be a dict, got \[1\]'):
        read_settings(Train, [1], 'train_cfg')


def test_fields_checked_against_each_other():
    @dataclass(frozen=True)
    class Thresholds:
        high: float = 0.5
        low: float = 0.2

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError(f'low {self.low} exceeds high {self.high}')

    with pytest.raises(ValueError, match=r'^thr: low 0.7 exceeds high 0.5'):
        read_settings(Thresholds, {'low': 0.7}, 'thr')


def test_an_unknown_rule():
    with pytest.raises(TypeError, match=r"no rule \['atleast'\]"):
        setting(1, atleast=0)
    with pytest.raises(TypeError, match=r"no rule \['atleast'\]"):
        check_value('x', 1, atleast=0)


def test_one_value():
    check_value('decay', (0.0, 1.0), at_least=0, at_most=1)
    for value in (None, '500'):
        with pytest.raises(TypeError, match=f'begin must be a number, got {value!r}'):
            check_value('begin', value, at_least=0)
    with pytest.raises(ValueError, match="mode must be one of 'a', got None"):
        check_value('mode', None, choices=('a',))
    with pytest.raises(ValueError, match=r'decay\[1\] must be at most 1, got 1.5'):
        check_value('decay', [0.5, 1.5], at_most=1)
    with pytest.raises(ValueError, match='decay must be at least 0, got nan'):
        check_value('decay', math.nan, at_least=0)

"""Declare settings of a config as dataclasses, validated when they are built."""

import math
import operator
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar('T')
Rules = Mapping[str, tuple[str, Callable[[Any, Any], bool]]]

# Wording of each rule, and the test of a value against the argument of the rule.
ITEM_RULES: Rules = {
    'choices': ('be one of {}', lambda value, choices: value in choices),
    'at_least': ('be at least {}', operator.ge),
    'above': ('be above {}', operator.gt),
    'at_most': ('be at most {}', operator.le),
    'below': ('be below {}', operator.lt),
}
SEQUENCE_RULES: Rules = {
    'length': ('have {} items', lambda value, length: len(value) == length),
    'min_length': ('have at least {} items', lambda value, least: len(value) >= least),
    'ascending': ('ascend', lambda value, _: list(value) == sorted(value)),
}


def setting(default: Any, **rules: Any) -> Any:
    """Declare a field of a settings dataclass and the values that it allows.

    Args:
        default: Default value.
        **rules: ``at_least``, ``above``, ``at_most`` and ``below`` limit a number,
            ``choices`` lists the allowed values; a sequence is checked item by item.
            ``length`` and ``min_length`` limit the length of a sequence, and
            ``ascending=True`` requires a sequence that does not descend.

    Raises:
        TypeError: If a rule is unknown.
    """
    _check_names(rules)
    return field(default=default, metadata=rules)


def read_settings(
    cls: type[T], given: Mapping[str, Any] | None, path: str, default: T | None = None
) -> T:
    """Build a settings dataclass from a dict of a config.

    The type hints declare the types: numbers, strings, booleans, ``X | None``, tuples
    (any list or tuple is accepted and becomes a tuple), and other settings
    dataclasses, given as a dict that is merged over the field's default.

    Args:
        cls: Dataclass with a default for every field, see :func:`setting`. A
            ``__post_init__`` may check fields against each other and raise ValueError.
        given: The dict of the config; None for the defaults.
        path: Key of the dict in the config, for messages: ``'semi_train_cfg'``.
        default: Settings that ``given`` is merged over; by default ``cls()``.

    Raises:
        KeyError: If a key is unknown, at any depth.
        TypeError: If a value does not have the type of its field.
        ValueError: If a value is outside the limits or choices of its field, or is not
            finite.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Filter:
        ...     thr: float = setting(0.95, at_least=0, at_most=1)
        >>> read_settings(Filter, {'thr': 0.5}, 'filter')
        Filter(thr=0.5)
        >>> read_settings(Filter, {'thr': 95}, 'filter')
        Traceback (most recent call last):
        ValueError: filter.thr must be at most 1, got 95
    """
    if not isinstance(given, Mapping | None):
        raise TypeError(f'{path} must be a dict, got {given!r}')
    rules = {item.name: item.metadata for item in fields(cls)}  # type: ignore[arg-type]
    for key in given or {}:
        if key not in rules:
            close = get_close_matches(str(key), rules, 1)
            hint = f'; did you mean {close[0]!r}?' if close else ''
            raise KeyError(f'{path} has no key {key!r}{hint} (known: {sorted(rules)})')
    hints = get_type_hints(cls)
    base: Any = cls() if default is None else default
    values = {}
    for key, value in (given or {}).items():
        where = f'{path}.{key}'
        values[key] = _convert(hints[key], value, where, getattr(base, key))
        if values[key] is not None:
            _check_rules(rules[key], values[key], where)
    try:
        return replace(base, **values)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def check_value(name: str, value: Any, **rules: Any) -> None:
    """Check one value against the rules of :func:`setting`.

    Args:
        name: Name of the value, for the message.
        value: The value; a sequence is checked item by item.
        **rules: Rules as in :func:`setting`.

    Raises:
        TypeError: If a rule is unknown, or the value is not a number or a sequence as
            required.
        ValueError: If the value breaks a rule; the message gives its name.

    Examples:
        >>> check_value('decay', 1.5, at_least=0, at_most=1)
        Traceback (most recent call last):
        ValueError: decay must be at most 1, got 1.5
    """
    _check_names(rules)
    _check_rules(rules, value, name)


def _check_names(rules: Mapping[str, Any]) -> None:
    unknown = set(rules) - set(ITEM_RULES) - set(SEQUENCE_RULES)
    if unknown:
        raise TypeError(f'there is no rule {sorted(unknown)}')


def _check_rules(rules: Mapping[str, Any], value: Any, where: str) -> None:
    sequence = isinstance(value, list | tuple)
    if not sequence and not rules.keys().isdisjoint(SEQUENCE_RULES):
        raise TypeError(f'{where} must be a sequence, got {value!r}')
    if sequence:
        of_items = {name: limit for name, limit in rules.items() if name in ITEM_RULES}
        for i, item in enumerate(value):
            _check_rules(of_items, item, f'{where}[{i}]')
    for name, (wording, holds) in (SEQUENCE_RULES if sequence else ITEM_RULES).items():
        if name not in rules:
            continue
        try:
            valid = holds(value, rules[name])
        except TypeError:  # a comparison of a string or None with a number
            raise TypeError(f'{where} must be a number, got {value!r}') from None
        if not valid:
            limit = rules[name]
            shown = ', '.join(map(repr, limit)) if name == 'choices' else limit
            raise ValueError(f'{where} must {wording.format(shown)}, got {value!r}')


def _convert(hint: Any, value: Any, where: str, default: Any = None) -> Any:
    """Return the value in the type of its field; raise TypeError if it does not fit."""
    if isinstance(hint, types.UnionType):  # X | None
        if value is None:
            return None
        (hint,) = set(get_args(hint)) - {type(None)}
    if hint is Any:
        return value
    if isinstance(hint, type) and is_dataclass(hint):
        if isinstance(value, hint):
            return value
        base = default if isinstance(default, hint) else None
        return read_settings(hint, value, where, base)
    if get_origin(hint) is tuple:
        return _convert_tuple(hint, value, where)
    expected = get_origin(hint) or hint
    if expected is float and isinstance(value, int):
        expected = int  # not converted
    if not isinstance(value, expected) or (
        isinstance(value, bool) and expected is not bool
    ):
        raise TypeError(f'{where} must be {_name(hint)}, got {value!r}')
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f'{where} must be finite, got {value!r}')
    return value


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple:
    if not isinstance(value, list | tuple):
        raise TypeError(f'{where} must be a sequence, got {value!r}')
    items: Sequence[Any] = get_args(hint)
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise ValueError(f'{where} must have {len(items)} items, got {value!r}')
    return tuple(
        _convert(item, part, f'{where}[{i}]')
        for i, (item, part) in enumerate(zip(items, value))
    )


def _name(hint: Any) -> str:
    names = {float: 'a number', int: 'an integer', str: 'a string', bool: 'a boolean'}
    return names.get(hint, str(hint))

"""Settings of a config, declared as dataclasses and validated when they are read."""

import operator
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar('T')

LIMITS = {
    'at_least': ('at least', operator.ge),
    'above': ('above', operator.gt),
    'at_most': ('at most', operator.le),
}


def setting(
    default: Any = MISSING,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    choices: Sequence[Any] | None = None,
) -> Any:
    """Declare a field of a settings dataclass and what its value may be.

    A limit or a choice of a sequence holds for each of its items. A field without a
    default must be given.

    Args:
        default: Default value; a mutable one is copied.
        at_least: Smallest value that is allowed.
        above: Value that must be exceeded.
        at_most: Largest value that is allowed.
        choices: The values that are allowed.
    """
    rules = {'at_least': at_least, 'above': above, 'at_most': at_most}
    metadata = {k: v for k, v in {**rules, 'choices': choices}.items() if v is not None}
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def read_settings(cls: type[T], given: Mapping[str, Any] | None, path: str) -> T:
    """Build a settings dataclass from a dict of a config.

    The type hints say what a value may be: numbers, strings, booleans, ``X | None``,
    tuples (any sequence is accepted and becomes a tuple), and other settings
    dataclasses, given as a dict over their defaults.

    Args:
        cls: Dataclass, its fields made by :func:`setting`.
        given: The dict of the config; None for the defaults.
        path: Key of the dict in the config, for messages: ``'semi_train_cfg'``.

    Raises:
        KeyError: If a key is unknown, at any depth, or a required one is missing.
        TypeError: If a value has another type than its field.
        ValueError: If a value is outside the limits or choices of its field.

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
    given = dict(given or {})
    known: dict[str, Field] = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    for key in given:
        if key not in known:
            close = get_close_matches(str(key), known, 1)
            hint = f'; did you mean {close[0]!r}?' if close else ''
            raise KeyError(f'{path} has no key {key!r}{hint} (known: {sorted(known)})')
    hints = get_type_hints(cls)
    values = {}
    for name, item in known.items():
        if name in given:
            where = f'{path}.{name}'
            value = _convert(hints[name], given[name], where)
            _check_rules(item.metadata, value, where)
            values[name] = value
        elif item.default is MISSING and item.default_factory is MISSING:
            raise KeyError(f'{path} needs the key {name!r}')
    return cls(**values)


def check_value(name: str, value: Any, **rules: Any) -> None:
    """Check one value against the limits and choices of :func:`setting`.

    Args:
        name: Name of the value, for the message.
        value: The value; a sequence is checked item by item.
        **rules: ``at_least``, ``above``, ``at_most``, ``choices``.

    Raises:
        ValueError: If the value breaks a rule; the message names it.
    """
    _check_rules(rules, value, name)


def _check_rules(rules: Mapping[str, Any], value: Any, where: str) -> None:
    if value is None or not rules:
        return
    for item in value if isinstance(value, list | tuple) else [value]:
        if 'choices' in rules and item not in rules['choices']:
            choices = ', '.join(map(repr, rules['choices']))
            raise ValueError(f'{where} must be one of {choices}, got {item!r}')
        if 'at_least' in rules and not item >= rules['at_least']:
            raise ValueError(
                f'{where} must be at least {rules["at_least"]}, got {item}'
            )
        if 'above' in rules and not item > rules['above']:
            raise ValueError(f'{where} must be above {rules["above"]}, got {item}')
        if 'at_most' in rules and not item <= rules['at_most']:
            raise ValueError(f'{where} must be at most {rules["at_most"]}, got {item}')


def _convert(hint: Any, value: Any, where: str) -> Any:
    """The value as its field's type has it; TypeError if it is none."""
    if hint is Any:
        return value
    if get_origin(hint) in (Union, types.UnionType):
        options = get_args(hint)
        if value is None and type(None) in options:
            return None
        errors = []
        for option in options:
            if option is not type(None):
                try:
                    return _convert(option, value, where)
                except (TypeError, KeyError) as error:
                    errors.append(error)
        raise errors[-1]
    if isinstance(hint, type) and is_dataclass(hint):
        return value if isinstance(value, hint) else read_settings(hint, value, where)
    if get_origin(hint) is tuple:
        return _convert_tuple(hint, value, where)
    expected = get_origin(hint) or hint
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, bool) and expected is not bool:
        raise TypeError(f'{where} must be {_name(hint)}, got {value!r}')
    if not isinstance(value, expected):
        raise TypeError(f'{where} must be {_name(hint)}, got {value!r}')
    return value


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple:
    if not isinstance(value, list | tuple):
        raise TypeError(f'{where} must be a sequence, got {value!r}')
    items = get_args(hint)
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

"""Settings of a config, declared as dataclasses and validated when they are built."""

import math
import operator
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar('T')

# Wording of each rule, and its test of a value against the rule's argument.
RULES: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    'choices': ('one of', lambda value, choices: value in choices),
    'at_least': ('at least', operator.ge),
    'above': ('above', operator.gt),
    'at_most': ('at most', operator.le),
    'below': ('below', operator.lt),
}
# Rules of a sequence as a whole.
SEQUENCE_RULES = ('length', 'min_length', 'ascending')


def setting(default: Any = MISSING, **rules: Any) -> Any:
    """Declare a field of a settings dataclass and the values that it allows.

    Args:
        default: Default value; a mutable one is copied. A field without a default is
            required.
        **rules: ``at_least``, ``above``, ``at_most`` and ``below`` limit a number,
            ``choices`` lists the allowed values; a sequence is checked item by item.
            ``length`` and ``min_length`` limit the length of a sequence, and
            ``ascending=True`` requires one that does not descend.

    Raises:
        TypeError: If a rule is unknown.
    """
    _check_names(rules)
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=rules)
    return field(default=default, metadata=rules)


def read_settings(
    cls: type[T], given: Mapping[str, Any] | None, path: str, default: T | None = None
) -> T:
    """Build a settings dataclass from a dict of a config.

    The type hints declare the types: numbers, strings, booleans, ``X | None``, tuples
    (any list or tuple is accepted and becomes a tuple), and other settings
    dataclasses, given as a dict that is merged over the field's default.

    Args:
        cls: Dataclass with fields made by :func:`setting`. A ``__post_init__`` may
            check fields against each other and raise ValueError.
        given: The dict of the config; None for the defaults.
        path: Key of the dict in the config, for messages: ``'semi_train_cfg'``.
        default: Settings that ``given`` is merged over, in place of the defaults of
            the fields.

    Raises:
        KeyError: If a key is unknown, at any depth, or a required one is missing.
        TypeError: If a value has another type than its field.
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
            base = item.default if default is None else getattr(default, name)
            values[name] = _convert(hints[name], given[name], where, base)
            _check_rules(item.metadata, values[name], where)
        elif default is None and item.default is item.default_factory is MISSING:
            raise KeyError(f'{path} needs the key {name!r}')
    try:
        return cls(**values) if default is None else replace(default, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def check_value(name: str, value: Any, **rules: Any) -> None:
    """Check one value against the rules of :func:`setting`.

    Args:
        name: Name of the value, for the message.
        value: The value; a sequence is checked item by item.
        **rules: Rules as in :func:`setting`.

    Raises:
        TypeError: If a rule is unknown.
        ValueError: If the value breaks a rule; the message has its name.

    Examples:
        >>> check_value('decay', 1.5, at_least=0, at_most=1)
        Traceback (most recent call last):
        ValueError: decay must be at most 1, got 1.5
    """
    _check_names(rules)
    _check_rules(rules, value, name)


def _check_names(rules: Mapping[str, Any]) -> None:
    unknown = set(rules) - set(RULES) - set(SEQUENCE_RULES)
    if unknown:
        raise TypeError(f'there is no rule {sorted(unknown)}')


def _check_rules(rules: Mapping[str, Any], value: Any, where: str) -> None:
    if value is None:
        return
    if not isinstance(value, list | tuple):
        if set(rules) & set(SEQUENCE_RULES):
            raise TypeError(f'{where} must be a sequence, got {value!r}')
        for name, limit in rules.items():
            if name in RULES and not RULES[name][1](value, limit):
                shown = ', '.join(map(repr, limit)) if name == 'choices' else limit
                raise ValueError(
                    f'{where} must be {RULES[name][0]} {shown}, got {value!r}'
                )
        return
    of_items = {name: limit for name, limit in rules.items() if name in RULES}
    for i, item in enumerate(value):
        _check_rules(of_items, item, f'{where}[{i}]')
    if len(value) != rules.get('length', len(value)):
        raise ValueError(f'{where} must have {rules["length"]} items, got {value!r}')
    if len(value) < rules.get('min_length', 0):
        raise ValueError(
            f'{where} must have at least {rules["min_length"]} items, got {value!r}'
        )
    if rules.get('ascending') and list(value) != sorted(value):
        raise ValueError(f'{where} must ascend, got {value!r}')


def _convert(hint: Any, value: Any, where: str, default: Any = None) -> Any:
    """Return the value in the type of its field; raise TypeError if it does not fit."""
    if hint is Any:
        return value
    if get_origin(hint) in (Union, types.UnionType):
        return _convert_union(hint, value, where, default)
    if isinstance(hint, type) and is_dataclass(hint):
        if isinstance(value, hint):
            return value
        base = default if isinstance(default, hint) else None
        return read_settings(hint, value, where, base)
    if get_origin(hint) is tuple:
        return _convert_tuple(hint, value, where)
    expected = get_origin(hint) or hint
    if expected is float and isinstance(value, int):
        expected = int  # kept as it is
    if not isinstance(value, expected) or (
        isinstance(value, bool) and expected is not bool
    ):
        raise TypeError(f'{where} must be {_name(hint)}, got {value!r}')
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f'{where} must be finite, got {value!r}')
    return value


def _convert_union(hint: Any, value: Any, where: str, default: Any) -> Any:
    options = [option for option in get_args(hint) if option is not type(None)]
    if value is None and len(options) < len(get_args(hint)):
        return None
    errors: list[Exception] = []
    for option in options:
        try:
            return _convert(option, value, where, default)
        except (TypeError, KeyError) as error:
            errors.append(error)
    raise errors[-1]


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

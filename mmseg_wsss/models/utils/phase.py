from collections.abc import Callable
from inspect import getmembers
from typing import Any

from torch import nn


class Phase:
    """Attribute of a segmentor that a hook sets in every training iteration.

    Reading it before a hook has set it raises an error that shows the hook to add, so
    that no part of a method can be missing silently. Every new value is passed to the
    segmentor's method ``on_NAME``, if it has one.

    Args:
        hook: The hook's entry of ``custom_hooks``, as written in a config.
        when: Function of a segmentor that returns whether it needs the phase; every
            segmentor does by default.

    Raises:
        RuntimeError: On reading, if no hook has set it.

    Examples:
        >>> class Method(nn.Module):
        ...     warmup = Phase("dict(type='WeakWarmupHook', iters=...)")
        >>> model = Method()
        >>> model.warmup
        Traceback (most recent call last):
        RuntimeError: Method.warmup is unset; add dict(type='WeakWarmupHook', \
iters=...) to custom_hooks
        >>> model.warmup = False
        >>> model.warmup
        False
    """

    def __init__(
        self, hook: str, when: Callable[[Any], bool] = lambda model: True
    ) -> None:
        self.hook = hook
        self.when = when

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.key = f'_phase_{name}'

    def require(self, model: nn.Module) -> None:
        """Raise RuntimeError if no hook has set the phase of the segmentor.

        A compiled step that calls this instead of reading the value is not recompiled
        for every new value.
        """
        if self.key not in model.__dict__:
            raise RuntimeError(
                f'{type(model).__name__}.{self.name} is unset; add {self.hook} to '
                'custom_hooks'
            )

    def __get__(self, model: nn.Module | None, owner: type) -> Any:
        if model is None:
            return self
        self.require(model)
        return model.__dict__[self.key]

    def __set__(self, model: nn.Module, value: Any) -> None:
        model.__dict__[self.key] = value
        on_change = getattr(model, f'on_{self.name}', None)
        if on_change is not None:
            on_change(value)


def phases_of(model: nn.Module) -> dict[str, Phase]:
    """Return the phases that a segmentor needs, by name."""
    found = getmembers(type(model), lambda item: isinstance(item, Phase))
    return {name: phase for name, phase in found if phase.when(model)}

"""What depends on time: hooks; and how a run is launched."""

from . import hooks

__all__ = ['hooks']

"""What depends on time: hooks; how a run is launched, and checkpoints are loaded."""

from . import checkpoints, hooks

__all__ = ['checkpoints', 'hooks']

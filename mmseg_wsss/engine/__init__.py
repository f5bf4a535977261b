"""What depends on time: hooks and loops; launching a run, and loading checkpoints."""

from . import checkpoints, hooks, loops

__all__ = ['checkpoints', 'hooks', 'loops']

"""Hooks and loops; the launch of a run; loading of checkpoints."""

from . import checkpoints, hooks, loops

__all__ = ['checkpoints', 'hooks', 'loops']

"""Hooks, loops and optimizer wrappers; the launch of a run; loading of checkpoints."""

from . import checkpoints, hooks, loops, optim_wrappers

__all__ = ['checkpoints', 'hooks', 'loops', 'optim_wrappers']

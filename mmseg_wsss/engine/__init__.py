"""Hooks, loops and optimizer wrappers; launching runs and loading checkpoints."""

from . import checkpoints, hooks, loops, optim_wrappers

__all__ = ['checkpoints', 'hooks', 'loops', 'optim_wrappers']

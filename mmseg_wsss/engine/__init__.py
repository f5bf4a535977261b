"""Hooks and loops; the launch of a run; loading of checkpoints."""

from . import checkpoints, hooks, loops
from .bfloat16_optim_wrapper import BFloat16OptimWrapper

__all__ = ['BFloat16OptimWrapper', 'checkpoints', 'hooks', 'loops']

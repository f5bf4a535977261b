"""Utilities for files, processes and configs, independent of the other packages."""

from .files import atomic_write, inside, sha256_of

__all__ = ['atomic_write', 'inside', 'sha256_of']

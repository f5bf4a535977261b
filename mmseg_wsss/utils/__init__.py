"""Helpers for files and processes; imports no other part of the package."""

from .files import atomic_write, inside, sha256_of

__all__ = ['atomic_write', 'inside', 'sha256_of']

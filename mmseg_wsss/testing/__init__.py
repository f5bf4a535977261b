"""What tests share; nothing else imports it."""

from .processes import run_processes

__all__ = ['run_processes']

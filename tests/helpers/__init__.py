"""What tests share; nothing else imports it."""

from .loss_tester import LossTester
from .processes import run_processes

__all__ = ['LossTester', 'run_processes']

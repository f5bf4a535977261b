"""Check the environment: ``python -m mmseg_wsss.doctor``.

Works where ``import mmseg_wsss`` fails. Prints one line per check, and a remedy below
each problem. The exit status is 1 if there is a problem, otherwise 0.
"""

from .report import main

__all__ = ['main']

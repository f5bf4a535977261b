"""Weakly and semi-supervised semantic segmentation on top of mmsegmentation.

Importing the package checks the versions of its requirements and registers its classes
in mmseg's registries. It changes nothing else.
"""

from .compat import check_versions, runs_doctor
from .version import __version__

if not runs_doctor():
    check_versions()

    from . import datasets, engine, evaluation, models
    from .utils.configs import config_path

__all__ = [
    '__version__',
    'config_path',
    'datasets',
    'engine',
    'evaluation',
    'models',
]

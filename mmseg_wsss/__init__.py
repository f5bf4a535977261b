"""Weakly and semi-supervised semantic segmentation on top of mmsegmentation.

Importing the package checks the versions of its requirements and registers its classes
in mmseg's registries. It changes nothing else.
"""

from .compat import check_versions
from .version import __version__

check_versions()

from . import datasets, engine, evaluation, models  # noqa: E402
from .utils.configs import config_path  # noqa: E402

__all__ = [
    '__version__',
    'config_path',
    'datasets',
    'engine',
    'evaluation',
    'models',
]

"""Registries of this package: mmseg's own.

The package defines no scope of its own, so its names resolve in the configs of any
mmseg project with ``default_scope = 'mmseg'``.
"""

from mmseg.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    RUNNERS,
    TRANSFORMS,
)

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'OPTIM_WRAPPERS',
    'RUNNERS',
    'TRANSFORMS',
]

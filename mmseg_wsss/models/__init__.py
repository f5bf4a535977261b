"""Networks, pseudo-labels, refiners, losses and methods."""

from . import (
    backbones,
    data_preprocessor,
    decode_heads,
    losses,
    pseudo_labels,
    refiners,
    segmentors,
    utils,
)

__all__ = [
    'backbones',
    'data_preprocessor',
    'decode_heads',
    'losses',
    'pseudo_labels',
    'refiners',
    'segmentors',
    'utils',
]

"""Networks, pseudo-labels, refiners, losses and methods."""

from . import (
    backbones,
    decode_heads,
    losses,
    pseudo_labels,
    refiners,
    segmentors,
    utils,
)

__all__ = [
    'backbones',
    'decode_heads',
    'losses',
    'pseudo_labels',
    'refiners',
    'segmentors',
    'utils',
]

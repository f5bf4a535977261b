"""Losses: pure functions, and thin modules that configs can name."""

from .balanced_cross_entropy import BalancedCrossEntropyLoss, balanced_cross_entropy
from .cross_entropy import (
    ValidCrossEntropyLoss,
    soft_cross_entropy,
    valid_cross_entropy,
)
from .dense_energy_loss import (
    DenseEnergyLoss,
    dense_energy_loss,
    dense_energy_losses,
)
from .multilabel_soft_margin import MultiLabelSoftMarginLoss, multilabel_soft_margin
from .utils import mean_over_ranks

__all__ = [
    'BalancedCrossEntropyLoss',
    'DenseEnergyLoss',
    'MultiLabelSoftMarginLoss',
    'ValidCrossEntropyLoss',
    'balanced_cross_entropy',
    'dense_energy_loss',
    'dense_energy_losses',
    'mean_over_ranks',
    'multilabel_soft_margin',
    'soft_cross_entropy',
    'valid_cross_entropy',
]

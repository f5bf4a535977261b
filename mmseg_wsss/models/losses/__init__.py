"""Losses: pure functions, and thin modules that configs can name."""

from .affinity import AffinityLoss, affinity_loss
from .balanced_cross_entropy import BalancedCrossEntropyLoss, balanced_cross_entropy
from .cross_entropy import (
    ValidCrossEntropyLoss,
    confident_cross_entropy,
    soft_cross_entropy,
    valid_cross_entropy,
)
from .dense_energy_loss import (
    DenseEnergyLoss,
    dense_energy_loss,
    dense_energy_losses,
)
from .displacement import DisplacementLoss, displacement_loss
from .equivariant import equivariant_loss
from .multi_scale_attentive import MultiScaleAttentiveLoss, multi_scale_attentive_loss
from .multilabel_soft_margin import MultiLabelSoftMarginLoss, multilabel_soft_margin
from .pair_affinity import PairAffinityLoss, pair_affinity_loss
from .regional_contrastive import RegionalContrastiveLoss, regional_contrastive_loss
from .self_correspondence import SelfCorrespondenceLoss, self_correspondence_loss
from .utils import mean_over_ranks

__all__ = [
    'AffinityLoss',
    'BalancedCrossEntropyLoss',
    'DenseEnergyLoss',
    'DisplacementLoss',
    'MultiLabelSoftMarginLoss',
    'MultiScaleAttentiveLoss',
    'PairAffinityLoss',
    'RegionalContrastiveLoss',
    'SelfCorrespondenceLoss',
    'ValidCrossEntropyLoss',
    'affinity_loss',
    'balanced_cross_entropy',
    'confident_cross_entropy',
    'dense_energy_loss',
    'dense_energy_losses',
    'displacement_loss',
    'equivariant_loss',
    'mean_over_ranks',
    'multi_scale_attentive_loss',
    'multilabel_soft_margin',
    'pair_affinity_loss',
    'regional_contrastive_loss',
    'self_correspondence_loss',
    'soft_cross_entropy',
    'valid_cross_entropy',
]

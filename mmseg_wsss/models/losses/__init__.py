"""Losses: pure functions, and thin modules that configs can name."""

from .affinity_loss import AffinityLoss, affinity_loss
from .balanced_cross_entropy_loss import (
    BalancedCrossEntropyLoss,
    balanced_cross_entropy,
)
from .confident_cross_entropy import confident_cross_entropy
from .dense_energy_loss import (
    dense_energy_loss,
    dense_energy_losses,
)
from .displacement_loss import DisplacementLoss, displacement_loss
from .equivariant_loss import equivariant_loss
from .multi_label_soft_margin_loss import (
    MultiLabelSoftMarginLoss,
    multilabel_soft_margin,
)
from .multi_scale_attentive_loss import (
    MultiScaleAttentiveLoss,
    multi_scale_attentive_loss,
)
from .pair_affinity_loss import PairAffinityLoss, pair_affinity_loss
from .rank_means import mean_over_ranks, one_collective
from .regional_contrastive_loss import (
    RegionalContrastiveLoss,
    regional_contrastive_loss,
)
from .self_correspondence_loss import SelfCorrespondenceLoss, self_correspondence_loss
from .soft_cross_entropy import soft_cross_entropy
from .valid_cross_entropy_loss import ValidCrossEntropyLoss, valid_cross_entropy

__all__ = [
    'AffinityLoss',
    'BalancedCrossEntropyLoss',
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
    'one_collective',
    'pair_affinity_loss',
    'regional_contrastive_loss',
    'self_correspondence_loss',
    'soft_cross_entropy',
    'valid_cross_entropy',
]

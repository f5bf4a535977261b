"""Metrics of pseudo-labels and of tags; test-time augmentation."""

from .confusion import LabelScores, confusion_matrix, label_scores
from .multi_label_metric import MultiLabelMetric
from .pseudo_label_metric import PseudoLabelMetric
from .wsss_tta_model import WSSSTTAModel

__all__ = [
    'LabelScores',
    'MultiLabelMetric',
    'PseudoLabelMetric',
    'WSSSTTAModel',
    'confusion_matrix',
    'label_scores',
]

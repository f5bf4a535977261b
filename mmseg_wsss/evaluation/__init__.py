"""Evaluate pseudo-labels, masks and tags; test-time augmentation."""

from .confusion import LabelScores, confusion_matrix, label_scores
from .multi_label_metric import MultiLabelMetric
from .pseudo_label_metric import PseudoLabelMetric
from .tag_coverage import TagCoverage, disagreement, tag_coverage
from .wsss_tta_model import WSSSTTAModel

__all__ = [
    'LabelScores',
    'MultiLabelMetric',
    'PseudoLabelMetric',
    'TagCoverage',
    'WSSSTTAModel',
    'confusion_matrix',
    'disagreement',
    'label_scores',
    'tag_coverage',
]

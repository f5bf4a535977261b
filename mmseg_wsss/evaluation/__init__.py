from .confusion import LabelScores, confusion_matrix, label_scores
from .label_files import evaluate_label_files
from .multi_label_metric import MultiLabelMetric
from .pseudo_label_metric import PseudoLabelMetric

__all__ = [
    'LabelScores',
    'MultiLabelMetric',
    'PseudoLabelMetric',
    'confusion_matrix',
    'evaluate_label_files',
    'label_scores',
]

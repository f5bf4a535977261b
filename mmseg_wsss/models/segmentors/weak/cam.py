"""Plain class activation maps."""

from torch import Tensor

from mmseg_wsss.registry import MODELS

from .base_classifier import WeakClassifier
from .parts.samples import stack_tags


@MODELS.register_module()
class CAM(WeakClassifier):
    """Classifier with class activation maps, trained from image tags.

    ``L = L_cls``. Source: Zhou et al., "Learning Deep Features for Discriminative
    Localization", https://arxiv.org/abs/1512.04150.

    Arguments are the same as in :class:`WeakClassifier`.
    """

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the classification loss.

        Args:
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples with ``gt_tags``.
        """
        feats = self.extract_feat(inputs)
        return self.classification_losses(feats, stack_tags(data_samples))

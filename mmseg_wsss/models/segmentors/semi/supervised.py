"""Training on the labeled images alone."""

from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...losses import one_collective
from .parts.tag_classifier import weak_view_loss
from .semi_base import SemiBaseSegmentor


@MODELS.register_module()
class SupervisedSegmentor(SemiBaseSegmentor):
    """Supervised baseline of the semi-supervised methods: ``L = L_sup``.

    Data, loops and checkpoints are the same as for the other methods.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`.
    """

    @one_collective
    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Compute the supervised losses.

        Args:
            inputs: Crops (N, 3, H, W) of the branch ``sup``; of ``unsup_weak``, too, if
                a classifier is trained on the tags of other images.
            data_samples: Their data samples, with ``gt_sem_seg``.
        """
        (sup,) = self.split_branches(inputs)
        output = self.forward_network('student', sup)
        losses = self.supervised_losses('student', output, data_samples['sup'])
        return losses | weak_view_loss(self, inputs, data_samples)

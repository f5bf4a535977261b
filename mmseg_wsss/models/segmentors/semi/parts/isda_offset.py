"""The offset of the logits in MKD, by implicit semantic data augmentation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.settings import setting

from ....utils import ImplicitSemanticAugmentation, channel_argmax, sum_over_ranks
from .seg_output import ClassifierInput, decode_heads_of
from .tag_constraint import TagConstraint

NETWORKS = ('student1', 'student2', 'teacher1', 'teacher2')


@dataclass(frozen=True)
class ISDASettings:
    """Settings of the offset.

    Args:
        end_ratio: Strength of the offset at the end of the training.
        schedule: Rise of the strength from 0: ``'cosine'`` or ``'linear'``.
        networks: Networks with an offset; teachers only if labels are taken from
            logits with an offset.
        max_count: See :class:`ImplicitSemanticAugmentation`.
    """

    end_ratio: float = setting(1.5, at_least=0)
    schedule: str = setting('cosine', choices=('cosine', 'linear'))
    networks: tuple[str, ...] = setting(NETWORKS, choices=NETWORKS)
    max_count: int | None = setting(None, at_least=1)


class ISDAOffset(nn.ModuleDict):
    """Estimators of the feature variances of networks, and the offsets from them.

    Args:
        networks: Networks with an offset, by their names.
        settings: Schedule and estimators.

    Attributes:
        inputs: Recorder of the input of each network's classifier.
        ratio: Current strength of the offset, a scalar buffer.

    Raises:
        ValueError: If ``conv_seg`` of a decode head is not a 1 x 1 convolution.
    """

    ratio: Tensor

    def __init__(self, networks: Mapping[str, Any], settings: ISDASettings) -> None:
        super().__init__()
        self.settings = settings
        self.inputs: dict[str, ClassifierInput] = {}
        for name, net in networks.items():
            conv_seg = linear_classifier(net)
            self.inputs[name] = ClassifierInput(conv_seg)
            self[name] = ImplicitSemanticAugmentation(
                conv_seg.out_channels,
                conv_seg.in_channels,
                max_count=settings.max_count,
            )
        self.register_buffer('ratio', torch.zeros(()), persistent=False)

    def set_progress(self, progress: float) -> None:
        """Set the strength by the ratio of finished iterations, in (0, 1]."""
        rise = ramp(progress, self.settings.schedule)
        self.ratio.fill_(self.settings.end_ratio * rise)

    def update_and_add(
        self,
        networks: Mapping[str, Any],
        logits: Mapping[str, Tensor],
        feats: Mapping[str, Tensor | None],
        gt: Tensor,
        valid: Tensor,
        tags: TagConstraint,
    ) -> dict[str, Tensor]:
        """Update the statistics of all networks, and add the offsets to their logits.

        Pixels belong to the class of the ground truth in labeled images, and to the
        network's own label (without offset, filtered by tags) in unlabeled ones. The
        sums of all of them are added up over the ranks in one collective.

        Args:
            networks: Networks by their names.
            logits: Logits (N, C, h, w) of each network.
            feats: Inputs (N, A, h, w) of their classifiers; None without an offset.
            gt: Ground truth (N_l, h, w) of the first N_l images.
            valid: Pixels (N, h, w) bool of unlabeled images that are counted.
            tags: Classes that tags allow at each pixel of the logits.

        Returns:
            Logits (N, C, h, w) of each network.
        """
        if not len(self):
            return dict(logits)
        num = len(gt)
        labels, sums = {}, []
        estimators: dict[str, Any] = dict(self.items())
        centers = {name: estimator.center() for name, estimator in estimators.items()}
        for name, estimator in estimators.items():
            own = channel_argmax(tags.filter(logits[name])[num:])
            own = own.masked_fill(~valid[num:], IGNORE_INDEX)
            labels[name] = torch.cat([gt.flatten(), own.flatten()])
            feat: Any = feats[name]
            rows = feat.permute(0, 2, 3, 1).flatten(0, 2)
            for part in (slice(gt.numel()), slice(gt.numel(), None)):
                label = labels[name][part]
                sums.append(estimator.sums(rows[part], label, centers[name]))
        # Sums of labeled and of unlabeled images, for each estimator.
        pairs = sum_over_ranks(torch.stack(sums)).unflatten(0, (-1, 2))
        added = dict(logits)
        for (name, estimator), pair in zip(estimators.items(), pairs):
            weight = linear_classifier(networks[name]).weight.flatten(1)
            offsets = []
            for label, part in zip(labels[name].tensor_split([gt.numel()]), pair):
                estimator.merge(part, centers[name])
                offsets.append(estimator.shift(weight, label, self.ratio))
            offset = torch.cat(offsets).view(*valid.shape, -1).permute(0, 3, 1, 2)
            added[name] = logits[name] + offset
        return added


def linear_classifier(net: Any) -> nn.Conv2d:
    """Return the 1 x 1 convolution ``conv_seg`` of a network's last decode head."""
    head = decode_heads_of(net)[-1]
    conv_seg = getattr(head, 'conv_seg', None)
    if not isinstance(conv_seg, nn.Conv2d) or conv_seg.kernel_size != (1, 1):
        raise ValueError(
            'isda needs a decode head with a 1 x 1 convolution conv_seg, got '
            f'{conv_seg} in {type(head).__name__}; set semi_train_cfg.isda = None'
        )
    return conv_seg


def ramp(progress: float, schedule: str) -> float:
    """Return a value that rises from 0 to 1 by the schedule 'cosine' or 'linear'."""
    if schedule == 'linear':
        return progress
    return (1 - math.cos(math.pi * progress)) / 2

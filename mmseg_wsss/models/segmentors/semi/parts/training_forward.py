"""Forward passes of students and teachers in a training step."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .seg_output import SegOutput, decode

Feats = Sequence[Tensor]


class StudentForward:
    """Forward passes of a student on labeled and unlabeled images.

    The labeled images are processed on construction or, with ``concat_forward``, in one
    batch with the first unlabeled images.

    Args:
        model: Semi-supervised segmentor.
        name: Name of the student.
        sup: Labeled images (N, 3, H, W).
        data_samples: Their data samples.

    Attributes:
        losses: Supervised losses, empty until the labeled images are processed.
    """

    def __init__(self, model: Any, name: str, sup: Tensor, data_samples: list) -> None:
        self.model, self.name, self.data_samples = model, name, data_samples
        self.waiting = [sup] if model.train_cfg.concat_forward else []
        self.losses: dict[str, Tensor] = {}
        if not self.waiting:
            self._supervise(model.forward_network(name, sup))

    def forward(self, *views: Tensor) -> Iterator[SegOutput]:
        """Yield the outputs for unlabeled views (N, 3, H, W)."""
        waiting, self.waiting = self.waiting, []
        outputs = self.model.forward_views(self.name, *waiting, *views)
        if waiting:
            self._supervise(next(outputs))
        yield from outputs

    def perturbed(
        self, views: Tensor, perturb: Callable[[Feats], Iterable[Feats]]
    ) -> Iterator[SegOutput]:
        """Yield the outputs for perturbed features of unlabeled views.

        Args:
            views: Images (N, 3, H, W).
            perturb: Function from their feature maps to those of each output.
        """
        net = self.model.networks[self.name]
        if not self.waiting:
            for feats in perturb(net.extract_feat(views)):
                yield decode(net, feats)
            return
        (sup,), self.waiting = self.waiting, []
        feats = net.extract_feat(torch.cat([sup, views]))
        parts = [
            [feat[: len(sup)] for feat in feats],
            *perturb([feat[len(sup) :] for feat in feats]),
        ]
        output = decode(net, [torch.cat(levels) for levels in zip(*parts)])
        labeled, *others = output.split(*(len(part[0]) for part in parts))
        self._supervise(labeled)
        yield from others

    def _supervise(self, output: SegOutput) -> None:
        self.losses = self.model.supervised_losses(self.name, output, self.data_samples)


def teacher_logits(model: Any, name: str, sup: Tensor, weak: Tensor) -> Tensor:
    """Compute logits (N, C, H, W) of a teacher for unlabeled images.

    With ``concat_forward``, labeled images share the batch of a teacher in train mode.

    Args:
        model: Semi-supervised segmentor.
        name: Name of the teacher.
        sup: Labeled images.
        weak: Unlabeled images (N, 3, H, W).
    """
    if model.train_cfg.concat_forward and model.networks[name].training:
        _, output = model.forward_views(name, sup, weak)
        return model.resize_to(weak, output.logits)
    return model.forward_logits(name, weak)

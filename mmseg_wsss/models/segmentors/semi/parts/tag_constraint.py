"""Logits among the classes that image tags allow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.utils.settings import setting

from ....pseudo_labels import present_classes
from ....utils import at_least_float32, mix
from .cam_fusion import CAMEvidence, cam_evidence

# Far below any logit, and finite: -inf would become NaN when a map is resized.
ABSENT = -1e4


@dataclass(frozen=True)
class TagFilterSettings:
    """Settings of the tag filter.

    Args:
        margin: Amount by which the logits of absent classes are lowered, for noisy
            tags; None excludes these classes.
    """

    margin: float | None = setting(None, above=0)


@dataclass(frozen=True)
class TagConstraint:
    """Classes that are absent from N images by their tags.

    Sources: PseudoSeg (Zou et al., https://arxiv.org/abs/2010.09713) calibrates
    pseudo-labels by image tags; class-aware cross entropy (Wang et al., Pattern
    Recognition 2022) restricts the softmax of the loss to tagged classes and
    background.

    Args:
        absent: Absent classes (N, C, h, w) bool, with h = w = 1 for whole images; None
            if tags have no effect.
        tag_filter: Settings of the filter; None leaves pseudo-labels as they are.
        class_aware_ce: Whether losses are computed among the other classes only.
        evidence: Change of pseudo-labels by the CAM of the classifier, if there is one.

    Example:
        >>> absent = torch.tensor([False, True]).view(1, 2, 1, 1)
        >>> tags = TagConstraint(absent, TagFilterSettings(margin=2.0))
        >>> tags.filter(torch.ones(1, 2, 1, 1)).flatten()
        tensor([ 1., -1.])
    """

    absent: Tensor | None = None
    tag_filter: TagFilterSettings | None = None
    class_aware_ce: bool = False
    evidence: CAMEvidence | None = None

    @classmethod
    def of(
        cls, model: Any, data_samples: Sequence[Any], inputs: Tensor | None = None
    ) -> 'TagConstraint':
        """Return the constraint of N images, without effect if tags are not used.

        Args:
            model: Semi-supervised segmentor.
            data_samples: N data samples, with ``gt_tags`` where an image has tags.
            inputs: Images (N, 3, H, W), for the CAM; None if they have masks.
        """
        cfg = model.train_cfg
        if cfg.tag_filter is None:
            return cls()
        device = next(model.parameters()).device
        absent = absent_classes(data_samples, model.num_classes, device)
        evidence = None
        if cfg.cam_fusion is not None and inputs is not None:
            evidence = cam_evidence(model, inputs, data_samples)
        absent = absent[..., None, None]
        return cls(absent, cfg.tag_filter, cfg.class_aware_ce, evidence)

    def filter(self, logits: Tensor) -> Tensor:
        """Lower the logits (N, C, H, W) of absent classes, and fuse all with the CAM.

        Used for pseudo-labels.
        """
        if self.tag_filter is None:
            return logits
        logits = self._lower(logits)  # before the temperature, which divides all
        if self.evidence is None:
            return logits
        logits = self.evidence.fuse(logits, self.absent)
        return self._lower(logits) if self.tag_filter.margin is None else logits

    def for_loss(self, logits: Tensor, mask: Tensor | None = None) -> Tensor:
        """Lower the logits of absent classes in a loss.

        Args:
            logits: Logits (N, C, H, W).
            mask: CutMix masks (N, 1, H, W) of mixed views, see :meth:`mixed`.

        Returns:
            Logits; without tags or ``class_aware_ce``, the input itself.
        """
        if self.absent is None or not self.class_aware_ce:
            return logits
        tags = self
        if mask is not None:  # the evidence has no effect on losses
            tags = replace(self, evidence=None).mixed(mask, logits.shape[2:])
        return tags._lower(logits)

    def for_head_loss(self, out: Any) -> Any:
        """Lower the logits of absent classes in the output of a decode head."""
        if self.absent is None or not self.class_aware_ce:
            return out
        return self._lower_all(out)

    def mixed(self, mask: Tensor, size: Sequence[int] | None = None) -> 'TagConstraint':
        """Mix by CutMix masks: each pixel has the absent classes of its own image.

        Args:
            mask: Masks (N, 1, H, W), 1 where an image keeps its own pixels.
            size: Size (h, w) of the logits; by default the size of the masks.
        """
        if self.absent is None:
            return self
        size = size or mask.shape[2:]
        absent = mix(self.absent.expand(-1, -1, *size), mask)
        evidence = self.evidence and self.evidence.mixed(mask, size)
        return replace(self, absent=absent, evidence=evidence)

    def after(self, first: 'TagConstraint') -> 'TagConstraint':
        """Return the constraint of a batch with the images of ``first`` before these.

        Args:
            first: Constraint of whole images that have masks.
        """
        if self.absent is None or first.absent is None:
            return self
        expanded = first.absent.expand(-1, -1, *self.absent.shape[2:])
        evidence = self.evidence and self.evidence.after(len(expanded))
        absent = torch.cat([expanded, self.absent])
        return replace(self, absent=absent, evidence=evidence)

    def _lower(self, logits: Tensor) -> Tensor:
        if self.absent is None:
            return logits
        logits = at_least_float32(logits)
        margin = None if self.tag_filter is None else self.tag_filter.margin
        if margin is None:
            return logits.masked_fill(self.absent, ABSENT)
        return torch.where(self.absent, logits - margin, logits)

    def _lower_all(self, node: Any) -> Any:
        if isinstance(node, list | tuple):
            return type(node)(self._lower_all(part) for part in node)
        assert self.absent is not None
        if not isinstance(node, Tensor) or node.dim() != 4:
            return node  # such as the image-level output of EncHead
        return self._lower(node) if node.shape[1] == self.absent.shape[1] else node


def absent_classes(
    data_samples: Sequence[Any], num_classes: int, device: torch.device | None = None
) -> Tensor:
    """Return the classes (N, C) bool that are absent from images by their tags.

    No class is absent from an image without ``gt_tags``, or from an image without any
    tag in a dataset without background. Classes of the mask, if there is one, are
    present whatever the tags.

    Args:
        data_samples: N data samples.
        num_classes: Number C of classes: as many as tags, or one more with background.
        device: Device of the data samples.

    Raises:
        ValueError: If the number of tags is neither C nor C - 1.
    """
    none = torch.zeros(num_classes, dtype=torch.bool, device=device)
    return torch.stack(
        [_absent(s, num_classes) if 'gt_tags' in s else none for s in data_samples]
    )


def _absent(sample: Any, num_classes: int) -> Tensor:
    tags = sample.gt_tags.label[None]
    num_tags = tags.shape[1]
    if num_tags not in (num_classes, num_classes - 1):
        raise ValueError(
            f'{sample.get("img_path")}: {num_tags} tags for a network of {num_classes} '
            f'classes; expected {num_classes - 1} foreground classes, or {num_classes} '
            'without background'
        )
    present = present_classes(tags, background=num_classes > num_tags)[0]
    if 'gt_sem_seg' in sample:
        in_mask = present.new_zeros(256)
        in_mask.index_fill_(0, sample.gt_sem_seg.data.flatten().long(), True)
        present = present | in_mask[:num_classes]
    return ~present & present.any()

"""Image classifier on the backbone of a student."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ....losses import multilabel_soft_margin
from ....pseudo_labels import present_classes
from ....utils import zero_loss


def classification_loss(
    model: Any, feats: Sequence[Tensor], data_samples: Sequence[Any]
) -> Tensor:
    """Compute the classification loss of N images, 0 for those without tags.

    It is a mean over all images, so that the mean over ranks is the mean over the
    images of all ranks, however the tags are distributed.

    Args:
        model: Semi-supervised segmentor with a ``cam_head``.
        feats: Feature maps of the backbone and neck of its first student.
        data_samples: N data samples, with ``gt_tags`` where an image has tags.
    """
    logits = model.cam_head(feats)
    rows = [i for i, sample in enumerate(data_samples) if 'gt_tags' in sample]
    loss = zero_loss([logits])
    if rows:
        ratio = len(rows) / len(logits)
        tags = torch.stack([data_samples[i].gt_tags.label for i in rows])
        # A list as an index would be copied to the device, and waited for.
        tagged = torch.stack([logits[i] for i in rows])
        loss = loss + multilabel_soft_margin(tagged, tags) * ratio
    return loss


def weak_view_loss(
    model: Any, inputs: Mapping[str, Tensor], data_samples: Mapping[str, list]
) -> dict[str, Tensor]:
    """Compute the classification loss of the weak views; empty without a classifier.

    It takes one more forward pass of the first student, since strong views are mixed.

    Args:
        model: Semi-supervised segmentor.
        inputs: Images (N, 3, H, W) of each branch.
        data_samples: Data samples of each branch.
    """
    if model.cam_head is None or 'unsup_weak' not in inputs:
        return {}
    feats = model.networks[model.students[0]].extract_feat(inputs['unsup_weak'])
    loss = classification_loss(model, feats, data_samples['unsup_weak'])
    return {'unsup_weak.loss_cls': loss}


@torch.no_grad()
def surely_absent(model: Any, inputs: Tensor) -> Tensor | None:
    """Return the classes (N, C) bool that prediction filtering removes.

    Args:
        model: Semi-supervised segmentor.
        inputs: Normalized images (N, 3, H, W).

    Returns:
        Mask (N, C); None if prediction filtering is off. Without a background class, no
        class is removed from an image in which all are below the threshold.
    """
    if model.prediction_filter is None:
        return None
    prob = tag_probabilities(model, inputs)
    background = model.num_classes > prob.shape[1]
    present = present_classes(prob >= model.prediction_filter.thr, background)
    return ~present & present.any(1, keepdim=True)


@torch.no_grad()
def tag_probabilities(model: Any, inputs: Tensor) -> Tensor:
    """Compute the probabilities (N, K) of the foreground classes in float32."""
    feats = model.networks[model.students[0]].extract_feat(inputs)
    return model.cam_head(feats).float().sigmoid()

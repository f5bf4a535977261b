"""Fusion of the pseudo-labels of tagged images with the classifier's CAM."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmseg_wsss.utils.settings import setting

from ....pseudo_labels import background_score, normalize_cam
from ....utils import eval_mode, mix, resize, resize_labels, valid_maps


@dataclass(frozen=True)
class CAMFusionSettings:
    """Settings of the fusion.

    The logits of an image with tags become ``(z_c + weight * r_c * log max(s_c,
    floor)) / temperature``. The score ``s_c`` of a tagged class is its normalized CAM,
    and ``r_c = max(2 p_c - 1, 0)`` is the confidence of the classifier, by the
    probability ``p_c`` of the class. The score of the background is ``(1 - max_c s_c
    r_c / r) ** bg_alpha`` with the largest ``r_c`` as its weight ``r``: a class with a
    probability of at most 0.5 has no effect. With a margin of the tag filter, ``z_c``
    of an absent class is the logit less the margin, and its score at a pixel is the
    highest of the other classes. It follows the calibrated fusion of PseudoSeg (Zou et
    al., https://arxiv.org/abs/2010.09713), which adds probabilities instead.

    Args:
        weight: Power of the scores.
        bg_alpha: Power of the background score; a larger one means a weaker background.
        floor: Lower bound of the scores: limits how far a CAM that misses a part of an
            object can lower its probability.
        temperature: Values below 1 raise the confidences.
    """

    weight: float = setting(1.0, above=0)
    bg_alpha: float = setting(1.0, above=0)
    floor: float = setting(0.1, above=0, at_most=1)
    temperature: float = setting(1.0, above=0)


class CAMEvidence(NamedTuple):
    """Change of the logits of N images by their CAMs.

    Args:
        score: Added to the logits, (N, C, h, w).
        sharpness: Factor of the sum, (N, 1, h, w).
    """

    score: Tensor
    sharpness: Tensor

    def fuse(self, logits: Tensor, absent: Tensor | None = None) -> Tensor:
        """Apply the change to logits.

        Args:
            logits: Logits (N, C, H, W).
            absent: Absent classes (N, C, H, W) or (N, C, 1, 1) bool, which get the
                highest score of the other classes: their own is 0, the best possible.
        """
        score, sharpness = self._at(logits.shape[2:])
        if absent is not None:
            highest = score.masked_fill(absent, -torch.inf).amax(1, keepdim=True)
            score = torch.where(absent, highest, score)
        return (logits + score) * sharpness

    def mixed(self, mask: Tensor, size: Sequence[int]) -> 'CAMEvidence':
        """Mix by CutMix masks (N, 1, H, W), at the size (h, w) of the logits."""
        return CAMEvidence(*(mix(part, mask) for part in self._at(size)))

    def after(self, num: int) -> 'CAMEvidence':
        """Return the evidence of a batch that starts with ``num`` unchanged images."""
        score, sharpness = self
        none = score.new_zeros(num, *score.shape[1:])
        ones = sharpness.new_ones(num, *sharpness.shape[1:])
        return CAMEvidence(torch.cat([none, score]), torch.cat([ones, sharpness]))

    def _at(self, size: Sequence[int]) -> Iterator[Tensor]:
        for part in self:
            if part.shape[2:] == (1, 1):  # resizing would round the factors
                yield part.expand(-1, -1, *size)
            else:
                yield resize(part, size)


@torch.no_grad()
def cam_evidence(
    model: Any, inputs: Tensor, data_samples: Sequence[Any]
) -> CAMEvidence:
    """Compute the evidence of the CAMs of images, by a forward pass in eval mode.

    Args:
        model: Semi-supervised segmentor with a ``cam_head`` and ``cam_fusion``.
        inputs: Images (N, 3, H, W).
        data_samples: Their data samples, with ``gt_tags`` where an image has tags.

    Returns:
        The evidence at the size of the CAM; images without a tag are unchanged by it.
    """
    cfg, student = model.train_cfg.cam_fusion, model.networks[model.students[0]]
    with eval_mode(student), eval_mode(model.cam_head):
        feats = student.extract_feat(inputs)
        cam = model.cam_head.cam(feats).float()
        prob = model.cam_head(feats).float().sigmoid()
    none = torch.zeros_like(prob[0])
    tags = torch.stack(
        [s.gt_tags.label.to(none) if 'gt_tags' in s else none for s in data_samples]
    )
    valid = valid_maps(data_samples, inputs)
    cam = cam * resize_labels(valid, cam.shape[2:])[:, None]
    score = normalize_cam(cam, tags)
    confidence = ((2 * prob - 1).clamp(min=0) * tags)[:, :, None, None]
    if model.num_classes > tags.shape[1]:
        largest = confidence.amax(1, keepdim=True)
        relative = score * confidence / largest.clamp(min=torch.finfo().tiny)
        score = torch.cat([background_score(relative, cfg.bg_alpha), score], 1)
        confidence = torch.cat([largest, confidence], 1)
    score = cfg.weight * confidence * score.clamp(min=cfg.floor).log()
    tagged = tags.any(1)[:, None, None, None]
    return CAMEvidence(score, torch.where(tagged, 1 / cfg.temperature, 1.0))

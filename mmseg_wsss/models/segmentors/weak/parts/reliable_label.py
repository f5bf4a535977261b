from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.settings import check_value, read_settings, setting

from ....losses import BalancedCrossEntropyLoss
from ....pseudo_labels import (
    background_score,
    hard_label,
    normalize_cam,
    present_classes,
    reliable_labels,
)
from ....utils import resize
from .inference_context import InferenceContext
from .pseudo_label_export import PseudoLabel, Sources


@dataclass(frozen=True)
class ReliableThresholds:
    """Thresholds of :func:`.reliable_labels`.

    A threshold above 1 leaves no pixel.
    """

    min_cam: float = setting(0.1, at_least=0)
    drop_ratio: float = setting(0.6, at_least=0, below=1)
    bg_thr: float = setting(0.8, at_least=0)
    crf_thr: float = setting(0.8, at_least=0)
    cam_floor: float = setting(0.3, at_least=0)


class ReliableLabeler:
    """Sparse label from a CAM and a dense CRF with two backgrounds, for RRM and ASDT.

    The CRF refines the CAM with a strong and with a weak background score
    ``(1 - max_c M_c) ** alpha``; a pixel keeps its label if CRF and CAM are reliable.
    Source: Zhang et al., "Reliability Does Matter" (RRM), section 3,
    https://arxiv.org/abs/1911.08039.

    Args:
        crf: Config of the CRF; ``DenseCRF`` by default.
        reliable: Settings of :class:`ReliableThresholds`.
        alphas: Exponents of the strong and of the weak background score.
        background: Whether there is a background class.
        cam_normalization: ``'max'`` or ``'minmax'``, see :func:`.normalize_cam`.
    """

    def __init__(
        self,
        crf: Mapping[str, Any] | None,
        reliable: Mapping[str, Any] | None,
        alphas: Sequence[float],
        background: bool,
        cam_normalization: str,
    ) -> None:
        check_value('alphas', alphas, above=0, length=2, ascending=True)
        self.crf = MODELS.build(crf or {'type': 'DenseCRF'})
        self.thresholds = read_settings(ReliableThresholds, reliable, 'reliable')
        self.alphas = tuple(alphas)
        self.background = background
        self.cam_normalization = cam_normalization

    @torch.no_grad()
    @torch.compiler.disable
    def sparse_label(
        self, cam: Tensor, tags: Tensor, img: Tensor, valid: Tensor
    ) -> Tensor:
        """Compute the label of crops from a CAM that is not normalized.

        Args:
            cam: CAM (N, K, h, w), at least 0.
            tags: Tags (N, K).
            img: Colors (N, 3, H, W) in 0..255.
            valid: Mask (N, H, W) bool of the pixels to use, such as those of the image.

        Returns:
            Label (N, H, W) int64, 255 for pixels that are not reliable or not valid.
        """
        # Non-finite weights must surface in a loss, not inside the CRF.
        cam = resize(cam, img.shape[2:]).nan_to_num(0.0, 0.0, 0.0)
        cam = cam * valid[:, None]
        cam = normalize_cam(cam, tags, self.cam_normalization)
        label, _ = self(cam, tags, img)
        return label.masked_fill(~valid, IGNORE_INDEX)

    @torch.no_grad()
    def __call__(self, cam: Tensor, tags: Tensor, img: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the label of a normalized CAM.

        Args:
            cam: CAM (N, K, H, W) in [0, 1], 0 for absent classes.
            tags: Tags (N, K).
            img: Colors (N, 3, H, W) in 0..255.

        Returns:
            Label (N, H, W) int64, 255 for pixels that are not reliable, and the CRF
            marginals (N, C, H, W) with the strong background.
        """
        scores = cam[:, None].expand(-1, len(self.alphas), -1, -1, -1)
        if self.background:
            powers = [background_score(cam, alpha) for alpha in self.alphas]
            scores = torch.cat([torch.stack(powers, 1), scores], 2)
        refined = self.crf(
            img, scores, class_mask=present_classes(tags, self.background)
        )
        strong, weak = refined.unbind(1)
        label = reliable_labels(
            cam,
            tags,
            strong,
            weak,
            alpha_weak=self.alphas[1],
            background=self.background,
            **asdict(self.thresholds),
        )
        return label, strong


def build_label_loss(cfg: Mapping[str, Any] | None, background: bool) -> Any:
    """Build the loss on the reliable label.

    Args:
        cfg: Config of the loss. None for the published one, twice the balanced cross
            entropy, or the plain cross entropy without a background class.
        background: Whether class 0 is the background.

    Raises:
        ValueError: If the loss balances class 0 against all others, and class 0 is not
            the background.
    """
    default: dict[str, Any] = {'type': 'ValidCrossEntropyLoss'}
    if background:
        default = {'type': 'BalancedCrossEntropyLoss', 'loss_weight': 2.0}
    loss = MODELS.build(cfg or default)
    if not background and isinstance(loss, BalancedCrossEntropyLoss):
        raise ValueError(
            'loss_seg: BalancedCrossEntropyLoss needs a background class, found none; '
            "set dict(type='ValidCrossEntropyLoss')"
        )
    return loss


def reliable_sources() -> Sources:
    """Return the pseudo-label functions of RRM and ASDT, by name."""
    return {'cam_crf': label_from_cam_crf, 'teacher_a': label_from_teacher_a}


def label_from_cam_crf(context: InferenceContext) -> PseudoLabel:
    """Take the strongest class of the CRF-refined CAM with the strong background."""
    _, prob = label_from_teacher_a(context)
    return hard_label(prob, context.tags), prob


def label_from_teacher_a(context: InferenceContext) -> PseudoLabel:
    """Compute the sparse label, as in training."""
    model: Any = context.model
    return model.labeler(context.cam, context.tags, context.img)

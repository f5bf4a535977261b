"""Labels and seeds of AffinityNet and IRNet."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value

from ...cam import CAMExtractor, CAMNetwork, Feats
from ...pseudo_labels import affinity_labels, normalize_cam
from .inference_context import InferenceContext


class SureRegions:
    """Labels of the pixels at which a CAM is sure, see :func:`.affinity_labels`.

    Args:
        crf: Config of the CRF; a ``DenseCRF`` by default.
        alphas: Powers la and ha of the strong and of the weak background.
        crf_iters: Iterations of the CRF on the result of a random walk.
    """

    def __init__(
        self, crf: Mapping[str, Any] | None, alphas: Sequence[float], crf_iters: int
    ) -> None:
        check_value('alphas', alphas, above=0, length=2)
        check_value('crf_iters', crf_iters, at_least=0)
        cfg = {'type': 'DenseCRF', **(crf or {})}
        self.crf = MODELS.build(cfg)
        self.last_crf = MODELS.build({**cfg, 'num_iters': crf_iters})
        self.alphas = tuple(alphas)

    @torch.no_grad()
    @torch.compiler.disable
    def label(self, cam: Tensor, tags: Tensor, img: Tensor, valid: Tensor) -> Tensor:
        """Compute the label of crops from a CAM that is not normalized.

        Args:
            cam: CAM (N, K, H, W), at least 0.
            tags: Image tags (N, K).
            img: Colors (N, 3, H, W) in 0..255.
            valid: Pixels (N, H, W) bool of the image, not padding.

        Returns:
            Label (N, H, W) int64, 255 for pixels that are not sure.
        """
        # Weights that are not finite must show in a loss, not inside the CRF.
        cam = cam.nan_to_num(0.0, 0.0, 0.0) * valid[:, None]
        label = affinity_labels(
            normalize_cam(cam, tags), tags, img, self.crf, self.alphas
        )
        return label.masked_fill(~valid, 255)


def own_cam(
    network: CAMNetwork, extract: CAMExtractor, inputs: Tensor, feats: Feats
) -> Tensor:
    """Extract the CAM of a training step at the size of ``inputs``."""
    detached = [feat.detach() for feat in feats]
    return extract(network, inputs, size=inputs.shape[2:], feats=detached)


def label_of_files(data_samples: Sequence[Any]) -> Tensor | None:
    """Stack ``pseudo_label`` (N, H, W) of data samples; None if there is none."""
    if 'pseudo_label' not in data_samples[0]:
        return None
    return torch.cat([sample.pseudo_label.data for sample in data_samples])


def seed_of(context: InferenceContext) -> Tensor:
    """Return the seed (1, K, H, W) of a walk: the soft map of the file, or the CAM."""
    return context.cam if context.cam_seed is None else context.cam_seed

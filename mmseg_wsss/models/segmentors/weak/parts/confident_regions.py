"""Labels and seeds of AffinityNet and IRNet."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.settings import check_value

from ....cam import Feats
from ....pseudo_labels import affinity_labels, normalize_cam
from .inference_context import InferenceContext
from .samples import denormalize, given_or_made, stack_tags


class ConfidentRegions:
    """Labels of the pixels at which a CAM is confident, see :func:`.affinity_labels`.

    Args:
        crf: Config of the CRF; ``DenseCRF`` by default.
        alphas: Exponents la and ha of the strong and of the weak background score.
        crf_iters: Iterations of the CRF on the result of a random walk.
    """

    def __init__(
        self, crf: Mapping[str, Any] | None, alphas: Sequence[float], crf_iters: int
    ) -> None:
        check_value('alphas', alphas, above=0, length=2, ascending=True)
        check_value('crf_iters', crf_iters, at_least=0)
        cfg = {'type': 'DenseCRF', **(crf or {})}
        self.crf = MODELS.build(cfg)
        self.last_crf = MODELS.build({**cfg, 'num_iters': crf_iters})
        self.alphas = tuple(alphas)

    def cam(
        self, model: Any, inputs: Tensor, data_samples: Sequence[Any], feats: Feats
    ) -> Tensor | None:
        """Extract the CAM (N, K, H, W) of a training step, if a label needs it.

        Args:
            model: AffinityNet or IRNet.
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples; those with ``pseudo_label`` or ``gt_sem_seg``
                need no CAM.
            feats: Features of ``inputs``.

        Returns:
            CAM, not normalized; None if no image needs one.
        """
        if all('pseudo_label' in s or 'gt_sem_seg' in s for s in data_samples):
            return None
        detached = [feat.detach() for feat in feats]
        return model.train_cam(model, inputs, size=inputs.shape[2:], feats=detached)

    @torch.no_grad()
    @torch.compiler.disable
    def label(
        self,
        model: Any,
        inputs: Tensor,
        data_samples: list,
        cam: Tensor | None,
        valid: Tensor,
    ) -> Tensor:
        """Return masks or pseudo-labels of the data samples, or label the CAM.

        Args:
            model: AffinityNet or IRNet.
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples with ``gt_tags``; with ``gt_sem_seg`` if the
                image has a mask, and ``pseudo_label`` if ``LoadPseudoLabel`` loads one.
            cam: Result of :meth:`cam`.
            valid: Pixels (N, H, W) bool of the image, not padding.

        Returns:
            Label (N, H, W) int64, 255 for unlabeled pixels and padding.
        """
        label = torch.full(valid.shape, IGNORE_INDEX, device=valid.device)
        if cam is not None:
            tags = stack_tags(data_samples)
            # Non-finite weights must surface in a loss, not inside the CRF.
            cam = cam.nan_to_num(0.0, 0.0, 0.0) * valid[:, None]
            img = denormalize(inputs, model.data_preprocessor)
            cam = normalize_cam(cam, tags, model.cam_normalization)
            label = affinity_labels(cam, tags, img, self.crf, self.alphas)
        for field in ('pseudo_label', 'gt_sem_seg'):
            label = given_or_made(label, data_samples, field)
        return label.masked_fill(~valid, IGNORE_INDEX)


def seed_of(context: InferenceContext) -> Tensor:
    """Return the seed (1, K, H, W) of a walk: the soft map of the file, or the CAM."""
    return context.cam if context.cam_seed is None else context.cam_seed

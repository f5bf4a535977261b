"""AffinityNet: seeds that spread along learnt affinities of pixels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...pseudo_labels import (
    affinity_labels,
    background_score,
    merge_cams,
    normalize_cam,
    present_classes,
)
from ...utils import pair_affinity, resize_labels
from .inference_context import InferenceContext
from .wsss_base import PseudoLabel, WSSSBase


@MODELS.register_module()
class AffinityNet(WSSSBase):
    """Affinities of near pixels, learnt from the sure regions of seeds (PSA).

    ``L = L_cls + L_aff`` (rcm_mam.md, section 11; Ahn and Kwak, CVPR 2018). The label
    of L_aff is ``pseudo_label`` of a data sample where ``LoadPseudoLabel`` gave it one,
    as in the pipeline of several stages (where ``loss_cls`` has the weight 0), else
    :func:`affinity_labels` of the network's own CAM. Seeds likewise: the soft map
    ``cam_seed`` of a data sample, else the CAM. The decode head idles.

    Args:
        affinity_head: Config of the head that gives features to compare.
        loss_affinity: Config of the loss, called with (affinity, label, radius).
        walk: Config of the refiner; :class:`RandomWalk` by default. Its radius is that
            of the loss.
        crf: Config of the CRF, of labels and of the result.
        alphas: Powers la and ha of the background in :func:`affinity_labels`.
        walk_alpha: Power of the background score that takes part in the walk.
        crf_iters: Iterations of the CRF on the result; 0 leaves it out.
        **kwargs: Arguments of :class:`WSSSBase`; the decode head has a background.

    Raises:
        ValueError: If there is no background class.
    """

    def __init__(
        self,
        *args: Any,
        affinity_head: dict | None = None,
        loss_affinity: dict | None = None,
        walk: dict | None = None,
        crf: dict | None = None,
        alphas: Sequence[float] = (4.0, 32.0),
        walk_alpha: float = 16.0,
        crf_iters: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not self.has_background:
            raise ValueError(
                f'AffinityNet tells objects from the background: decode_head needs '
                f'{self.cam_head.num_classes + 1} classes, got {self.num_classes}'
            )
        head = {'type': 'PixelAffinityHead', **(affinity_head or {})}
        self.affinity_head = MODELS.build(head)
        self.loss_affinity = MODELS.build(loss_affinity or {'type': 'PairAffinityLoss'})
        self.walk = MODELS.build({'type': 'RandomWalk', **(walk or {})})
        crf = {'type': 'DenseCRF', **(crf or {})}
        self.crf = MODELS.build(crf)
        self.last_crf = MODELS.build({**crf, 'num_iters': crf_iters})
        self.alphas = tuple(alphas)
        self.walk_alpha = walk_alpha
        self.crf_iters = crf_iters

    def segmentation_losses(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        tags: Tensor,
        data_samples: list,
    ) -> dict[str, Tensor]:
        """Loss of the affinities."""
        valid = self.valid(data_samples, inputs)
        if 'pseudo_label' in data_samples[0]:
            label = torch.cat([s.pseudo_label.data for s in data_samples])
        else:
            label = self.own_label(inputs, feats, tags, valid)
        label = label.masked_fill(~valid, 255)
        return {
            'loss_idle': self.idle_loss(),
            **self.relation_losses(feats, label),
            'ratio_sure': self.label_shares(label, valid)['ratio_labeled'],
        }

    def relation_losses(
        self, feats: Sequence[Tensor], label: Tensor
    ) -> dict[str, Tensor]:
        """Losses of the relations of pixels on sure regions (N, H, W)."""
        affinity = self.affinity(feats)
        small = resize_labels(label, affinity.shape[2:])
        return {'loss_affinity': self.loss_affinity(affinity, small, self.walk.radius)}

    def affinity(self, feats: Sequence[Tensor]) -> Tensor:
        """Affinities (N, P, h, w) of near pixels, see :func:`pair_affinity`."""
        return pair_affinity(self.affinity_head(feats), self.walk.radius)

    @torch.no_grad()
    @torch.compiler.disable
    def own_label(
        self, inputs: Tensor, feats: Sequence[Tensor], tags: Tensor, valid: Tensor
    ) -> Tensor:
        """Sure regions (N, H, W) of the network's own CAM."""
        options = {'scales': (1.0,), **(self.train_cfg or {}).get('cam', {})}
        feats = [feat.detach() for feat in feats]
        size = inputs.shape[2:]
        cam = self.multi_scale_cam(inputs, size=size, feats=feats, **options)
        # Not finite weights shall stop the training by a loss, not inside the CRF.
        cam = cam.nan_to_num(0.0, 0.0, 0.0) * valid[:, None]
        img = self.denormalize(inputs)
        return affinity_labels(
            normalize_cam(cam, tags), tags, img, self.crf, self.alphas
        )

    def pseudo_sources(self) -> dict[str, Callable[[InferenceContext], PseudoLabel]]:
        """The seed, and what the walk makes of it."""
        return super().pseudo_sources() | {'affinity': self.label_from_walk}

    def label_from_walk(self, context: InferenceContext) -> PseudoLabel:
        """Dense label: the seed after the random walk and the CRF."""
        cam = context.cam if context.cam_seed is None else context.cam_seed
        affinity = self.affinity(context.feats)
        small = merge_cams([cam], affinity.shape[2:])
        scores = torch.cat([background_score(small, self.walk_alpha), small], 1)
        present = present_classes(context.tags)[0]
        walked = torch.zeros_like(scores)
        walked[:, present] = self.walk(scores[:, present], affinity)
        prob = context.resize(walked)
        prob = prob / prob.sum(1, keepdim=True).clamp(min=1e-5)
        if self.crf_iters:
            prob = self.last_crf(context.img, prob, class_mask=present[None])
        return prob.argmax(1), prob

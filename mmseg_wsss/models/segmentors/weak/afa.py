"""AFA: affinity from attention (Ru et al., CVPR 2022; tscd.md, section 12)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...pseudo_labels import (
    all_channels,
    merge_backgrounds,
    merge_cams,
    random_walk,
    refine_probs,
    strongest_labels,
    tagged_probs,
)
from ...utils import eval_mode, scaled_size
from .cam_seg import CAMSeg
from .inference_context import InferenceContext
from .wsss_base import PseudoLabel, rescale


@MODELS.register_module()
class AFA(CAMSeg):
    """Segmentation and affinity trained on locally refined CAMs.

    ``L = L_cls + 0.1 L_seg(S, Y') + 0.1 L_aff(A, Y) [+ 0.01 L_reg(S, Y')]``: the label
    ``Y`` is the CAM refined by PAR under a high and a low background score; where they
    differ as to the background, it is ignored. ``Y'`` is ``Y`` at first, and with
    ``use_affinity`` (``AffinityLabelHook``) the CAM after a random walk along the
    learnt affinity ``A``, refined in the same way.

    Args:
        affinity_head: Config of the affinity; what the backbone tells about itself
            (``affinity_inputs``) is filled in, or where it tells nothing, an embedding
            of 256 channels of the features that the CAM is made of.
        refiner: Config of the refiner of CAMs; PAR by default.
        loss_affinity: Config of the affinity loss.
        refine_scale: Size of the image that the refiner sees, relative to the crop.
        walk_scale: Size of the image that the random walk's affinity is taken from.
        radius: Largest step of the random walk, in grid cells.
        **kwargs: Arguments of :class:`CAMSeg`; ``high_thr`` and ``low_thr`` are scores
            of the background in a softmax with the CAM.
    """

    def __init__(
        self,
        *args: Any,
        affinity_head: dict | None = None,
        refiner: dict | None = None,
        loss_affinity: dict | None = None,
        refine_scale: float = 0.5,
        walk_scale: float = 1.5,
        radius: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        embedding = {
            'in_channels': self.cam_head.in_channels,
            'in_index': self.cam_head.in_index,
            'embed_channels': 256,
        }
        self.affinity_head = MODELS.build(
            {
                'type': 'AttentionAffinityHead',
                **getattr(self.backbone, 'affinity_inputs', embedding),
                **(affinity_head or {}),
            }
        )
        self.refiner = MODELS.build(
            refiner or {'type': 'LocalAffinityRefiner', 'kind': 'par'}
        )
        self.loss_affinity = MODELS.build(
            loss_affinity or {'type': 'AffinityLoss', 'loss_weight': 0.1}
        )
        self.refine_scale = refine_scale
        self.walk_scale = walk_scale
        self.radius = radius
        self.use_affinity = False  # set by AffinityLabelHook

    def segmentation_losses(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        tags: Tensor,
        data_samples: list,
    ) -> dict[str, Tensor]:
        """Losses of the decode head and of the affinity head on pseudo-labels."""
        coarse = self.decode_head(feats)
        logits = self.upsample(coarse, inputs)
        affinity = self.affinity_head(feats)
        img, valid = self.denormalize(inputs), self.valid(data_samples, inputs)

        known = self.known_feats(feats)
        if self.use_affinity:
            known[self.walk_scale] = self.inference_feats(inputs, self.walk_scale)
        cam = self.train_cams(inputs, known)
        label = self.merged_label(cam, tags, img, valid)
        losses = {
            'loss_affinity': self.loss_affinity(affinity, self.on_grid(label, feats))
        }
        if self.use_affinity:
            walk = known[self.walk_scale]
            label = self.merged_label(cam, tags, img, valid, walk)
        losses |= self.seg_losses(feats, coarse, logits, label, img, valid)
        losses |= self.view_losses(inputs, feats, logits, cam, tags, valid)
        losses['use_affinity'] = inputs.new_tensor(float(self.use_affinity))
        return losses

    def view_losses(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        logits: Tensor,
        cam: Tensor,
        tags: Tensor,
        valid: Tensor,
    ) -> dict[str, Tensor]:
        """Losses between two views of the images; none in AFA."""
        return {}

    @torch.no_grad()
    def inference_feats(self, inputs: Tensor, scale: float) -> Sequence[Tensor]:
        """Features of the images at a scale, as in inference."""
        with eval_mode(self):
            return self.extract_feat(rescale(inputs, scale))

    @torch.no_grad()
    @torch.compiler.disable
    def merged_label(
        self,
        cam: Tensor,
        tags: Tensor,
        img: Tensor,
        valid: Tensor | None = None,
        walk: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Label ``Y`` (N, H, W), 255 where both backgrounds disagree or in padding.

        Args:
            cam: CAM (N, K, H, W) in [0, 1].
            tags: Image tags (N, K).
            img: Colors (N, 3, H, W) in 0..255.
            valid: Pixels (N, H, W) that show the image; all by default.
            walk: Features whose affinity spreads the CAM first; None leaves this out.
        """
        scores = self.high_thr, self.low_thr
        maps, labels = self.refine(cam, tags, img, scores, walk, valid)
        high, low = strongest_labels(maps, labels).unbind(1)
        label = merge_backgrounds(high, low)
        return label if valid is None else label.masked_fill(~valid, 255)

    def refine(
        self,
        cam: Tensor,
        tags: Tensor,
        img: Tensor,
        backgrounds: Sequence[float],
        walk: Sequence[Tensor] | None = None,
        valid: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Refined maps (N, T, M, H, W) for T background scores, and labels (N, M).

        After a random walk the refiner does not see padding (``valid`` (N, H, W)).
        """
        if walk is None:
            small = merge_cams([cam], scaled_size(img.shape[2:], self.refine_scale))
            prob, labels = tagged_probs(small, tags, backgrounds)
        else:
            prob, labels = self.walk(cam, tags, backgrounds, walk)
            flat = merge_cams([prob.flatten(1, 2)], img.shape[2:])
            prob = flat.unflatten(1, prob.shape[1:3])
            if valid is not None and not bool(valid.all()):
                return self._refine_inside(prob, img, valid), labels
        return refine_probs(prob, img, self.refiner, self.refine_scale), labels

    def _refine_inside(self, prob: Tensor, img: Tensor, valid: Tensor) -> Tensor:
        """Maps refined in the box of each image, as they were in padding."""
        refined = prob.clone()
        for i, inside in enumerate(valid):
            if not bool(inside.any()):
                continue
            rows, columns = (inside.any(dim).nonzero()[:, 0] for dim in (1, 0))
            y, x = (slice(int(at[0]), int(at[-1]) + 1) for at in (rows, columns))
            refined[i : i + 1, ..., y, x] = refine_probs(
                prob[i : i + 1, ..., y, x],
                img[i : i + 1, ..., y, x],
                self.refiner,
                self.refine_scale,
            )
        return refined

    def walk(
        self,
        cam: Tensor,
        tags: Tensor,
        backgrounds: Sequence[float],
        feats: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """CAM after a random walk (N, T, M, h, w) on the grid of the affinity."""
        small = merge_cams([cam], self._grid(feats))
        prob, labels = tagged_probs(small, tags, backgrounds)
        return random_walk(prob, self.affinity_head(feats), self.radius), labels

    def on_grid(self, label: Tensor, feats: Sequence[Tensor]) -> Tensor:
        """Label (N, h, w) of the nearest pixel on the grid of the affinity."""
        small = F.interpolate(label[:, None].float(), self._grid(feats), mode='nearest')
        return small[:, 0].long()

    def _grid(self, feats: Sequence[Tensor]) -> tuple[int, ...]:
        return tuple(feats[self.affinity_head.in_index].shape[2:])

    def pseudo_sources(self) -> dict[str, Callable[[InferenceContext], PseudoLabel]]:
        """Those of :class:`CAMSeg`, the refined CAM, and the affinity's label."""
        return super().pseudo_sources() | {
            'cam_refined': self.label_from_refined_cam,
            'affinity': self.label_from_affinity,
        }

    def label_from_refined_cam(self, context: InferenceContext) -> PseudoLabel:
        """Dense label: the refined CAM with the background score of ``test_cfg``."""
        bg_thr = self.test_cfg.get('bg_thr', 0.45)
        maps, labels = self.refine(context.cam, context.tags, context.img, [bg_thr])
        return self._from_maps(maps, labels)

    def label_from_affinity(self, context: InferenceContext) -> PseudoLabel:
        """Dense label: the CAM after a random walk, not refined (the "ref CAM")."""
        maps, labels = self.walk(
            context.cam, context.tags, [self.low_thr], context.feats
        )
        return self._from_maps(context.resize(maps[:, 0])[:, None], labels)

    def _from_maps(self, maps: Tensor, labels: Tensor) -> PseudoLabel:
        label = strongest_labels(maps, labels)[:, 0]
        return label, all_channels(maps[:, 0], labels, self.num_classes)

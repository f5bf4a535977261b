"""AFA: affinity from attention."""

from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value

from ...cam import Feats, PairedCAM, reusable_feats
from ...losses import one_collective
from ...utils import Phase, eval_mode, rescale, resize_labels, valid_maps
from .base_segmentor import WeakSegmentor
from .parts.dense_energy import build_dense_energy
from .parts.local_label import (
    Affinity,
    BackgroundPairLabeler,
    affinity_grid,
    affinity_of,
    build_affinity_head,
    local_sources,
)
from .parts.pseudo_label_export import Sources
from .parts.samples import (
    check_background,
    denormalize,
    given_or_made,
    label_ratios,
    stack_tags,
)


@MODELS.register_module()
class AFA(WeakSegmentor):
    """Segmentation and affinity trained on locally refined CAMs.

    ``L = L_cls + 0.1 L_seg(S, Y') + 0.1 L_aff(A, Y) [+ 0.01 L_reg(S, Y')]``: the label
    ``Y`` is the CAM refined by PAR under a high and a low background score, see
    :class:`.BackgroundPairLabeler`. ``Y'`` is ``Y`` at first, and with ``use_affinity``
    (``AffinityLabelHook``) the CAM after a random walk along the affinity ``A``,
    refined in the same way. A mask replaces ``Y`` and ``Y'``, so that true pairs
    supervise the affinity. Source: Ru et al., "Learning Affinity from Attention:
    End-to-End Weakly-Supervised Semantic Segmentation with Transformers",
    https://arxiv.org/abs/2203.02664.

    Args:
        affinity_head: Config of the affinity head, see :func:`.build_affinity_head`.
        refiner: Config of the refiner of CAMs; PAR by default.
        loss_seg: Config of the segmentation loss, called with (logits, label).
        loss_affinity: Config of the affinity loss.
        dense_energy: Settings of :class:`.DenseEnergy`; None switches the loss off.
        high_thr: High background score.
        low_thr: Low background score.
        refine_scale: Size of the image that guides the refiner, relative to the crop.
        affinity_label: Label of the affinity loss once the random walk is used:
            ``'cam'``, the label before it, as released for VOC, or ``'walk'``, the
            label after it, as released for COCO.
        walk_scale: Size of the image from which the random walk's affinity is taken.
        radius: Largest step of the random walk, in grid cells.
        train_cfg: ``cam`` is by default the sum over the scales 1, 0.5 and 1.5,
            :class:`.PairedCAM`.
        **kwargs: Arguments of :class:`WeakSegmentor`.

    Raises:
        ValueError: If there is no background class, or a setting is out of range.
    """

    use_affinity = Phase("dict(type='AffinityLabelHook', begin=...)")
    default_train_cam = PairedCAM()
    default_cam_normalization = 'minmax'

    def __init__(
        self,
        *args: Any,
        affinity_head: dict | None = None,
        refiner: dict | None = None,
        loss_seg: dict | None = None,
        loss_affinity: dict | None = None,
        dense_energy: dict | None = None,
        high_thr: float = 0.55,
        low_thr: float = 0.35,
        refine_scale: float = 0.5,
        affinity_label: str = 'cam',
        walk_scale: float = 1.5,
        radius: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_background(self)
        check_value('affinity_label', affinity_label, choices=('cam', 'walk'))
        check_value('walk_scale', walk_scale, above=0)
        self.loss_seg = MODELS.build(
            loss_seg or {'type': 'BalancedCrossEntropyLoss', 'loss_weight': 0.1}
        )
        self.dense_energy = build_dense_energy(dense_energy)
        self.affinity_head = build_affinity_head(affinity_head or {}, self)
        self.labeler = BackgroundPairLabeler(
            MODELS.build(refiner or {'type': 'LocalAffinityRefiner', 'kind': 'par'}),
            high_thr,
            low_thr,
            refine_scale,
            radius,
        )
        self.loss_affinity = MODELS.build(
            loss_affinity or {'type': 'AffinityLoss', 'loss_weight': 0.1}
        )
        self.affinity_label = affinity_label
        self.walk_scale = walk_scale

    @one_collective
    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the losses of the classifier, the affinity and the segmentation.

        Args:
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples with ``gt_tags``, and masks ``gt_sem_seg`` of
                some images.
        """
        tags = stack_tags(data_samples)
        feats = self.extract_feat(inputs)
        losses = {'loss_cls': self.loss_cls(self.cam_head(feats), tags)}
        use_affinity = self.use_affinity  # read in the warm-up too, see Phase
        if self.warmup:
            return losses | self.idle_loss()

        coarse = self.decode_head(feats)
        logits = self.upsample(coarse, inputs)
        affinity = self.affinity_head(feats)
        img = denormalize(inputs, self.data_preprocessor)
        valid = valid_maps(data_samples, inputs)

        known = reusable_feats(self, feats)
        walks: list[Affinity | None] = [None]
        if use_affinity:
            known[self.walk_scale] = self.walk_feats(inputs)
            plain = [feat[: len(inputs)] for feat in known[self.walk_scale]]
            walk = affinity_of(self.affinity_head, plain)
            walks = [walk] if self.affinity_label == 'walk' else [None, walk]
        cam = self.normalized_train_cam(inputs, known)
        labels = [
            given_or_made(self.labeler(cam, tags, img, valid, walk), data_samples)
            for walk in walks
        ]
        small = resize_labels(labels[0], affinity_grid(self.affinity_head, feats))
        losses['loss_affinity'] = self.loss_affinity(affinity, small)
        label = labels[-1]
        losses['loss_ce'] = self.loss_seg(logits, label)
        if self.dense_energy is not None:
            (losses['loss_dense'],) = self.dense_energy([logits], img, valid, label)
        losses |= self.other_head_losses(feats, coarse, label)
        losses |= label_ratios(label, valid)
        losses['use_affinity'] = inputs.new_full((), float(use_affinity))
        return losses

    @torch.no_grad()
    def walk_feats(self, inputs: Tensor) -> Feats:
        """Extract the features from which the random walk's affinity is taken.

        Args:
            inputs: Normalized crops (N, 3, H, W).

        Returns:
            Features of the crops at ``walk_scale``, in eval mode; if the CAM is
            extracted in train mode, features in this mode of the N crops and their N
            mirror images in one batch.
        """
        img, cam = rescale(inputs, self.walk_scale), self.train_cam
        if not (isinstance(cam, PairedCAM) and cam.train_mode):
            with eval_mode(self):
                return self.extract_feat(img)
        return self.extract_feat(torch.cat([img, img.flip(-1)]) if cam.flip else img)

    def pseudo_sources(self) -> Sources:
        """Return the base's sources, ``merged``, ``cam_refined`` and ``affinity``."""
        return super().pseudo_sources() | local_sources()

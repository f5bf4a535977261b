"""RCM + MAM: pixel-level self-supervision of class activation maps."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import reduce
from typing import Any, ClassVar

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.settings import check_value

from ...cam import Feats, forward_in_parts
from ...pseudo_labels import (
    background_score,
    leave_one_out,
    normalize_cam,
    region_labels,
    regional_prototypes,
)
from ...utils import Phase, PrototypeMemory, rescale, resize, update_ema, valid_maps
from .base_classifier import WeakClassifier
from .parts.inference_context import InferenceContext
from .parts.pseudo_label_export import PseudoLabel, Sources
from .parts.samples import check_background, given_or_made, label_ratios, stack_tags


@MODELS.register_module()
class RCMMAM(WeakClassifier):
    """A classifier supervised by its mean teacher, pixel by pixel.

    ``L = L_cls + L_RCM + L_MAM``. SupportNet, the mean teacher of MainNet, computes
    CAMs at several scales. RCM: regions of these CAMs label the pixels, SupportNet's
    features in the regions give prototypes, and MainNet's features are classified
    against the prototypes. MAM: MainNet's CAMs at several scales are pulled towards a
    weighted mean of SupportNet's. The results are MainNet's CAMs. A mask replaces the
    regions, both for labels and for prototypes; MAM compares CAMs and has no label to
    replace. Source: Yoon et al., "Exploring Pixel-level Self-supervision for Weakly
    Supervised Semantic Segmentation", https://arxiv.org/abs/2112.05351; for choices
    that the paper leaves open, see docs/methods/rcm_mam.md.

    ``MeanTeacherHook`` updates SupportNet (``decay=0.996``, ``schedule='constant'``);
    a checkpoint without SupportNet, such as a classifier's, fills both networks.

    Args:
        backbone: Config of the backbone of both networks.
        cam_head: Config of the classifier of both networks; its embedding is the
            feature that RCM classifies.
        neck: Config of the neck of both networks.
        loss_rcm: Config of the contrastive loss, called with (features, prototypes,
            region); a ``loss_weight`` of 0 leaves RCM out.
        loss_mam: Config of the loss between CAMs of both networks; a ``loss_weight`` of
            0 leaves MAM out.
        region_thr: TH: pixels with normalized CAMs below it are background.
        memory_size: MEM, the number of leave-one-out prototypes kept per class; all
            images share their mean. With 0, each image uses the other images of the
            batch.
        main_scales: S, scales of MainNet in MAM.
        support_scales: R, scales of SupportNet, 1 among them.
        mam_ratio: Ratio of the images of a batch that MAM uses: the first ones, those
            without masks before those with masks.
        mam_own_forward: Whether MAM has a separate forward pass at scale 1, with other
            dropout, instead of reusing the one of the classification.
        mam_normalize: Whether to divide CAMs by their maximum in MAM (ablation).
        ignore_bg: Whether to leave the background out of RCM.
        mask_padding: Whether to leave padding out of RCM and MAM; otherwise it is
            background.
        **kwargs: Arguments of :class:`WeakClassifier`.

    Raises:
        ValueError: If there is no background class, 1 is missing in
            ``support_scales``, or a setting is out of range.
    """

    warmup = Phase("dict(type='WeakWarmupHook', iters=0)")
    use_mam = Phase(
        "dict(type='MultiScaleAttentionHook', begin=0)",
        when=lambda model: model.with_rcm and model.with_mam,
    )
    pairs: ClassVar[Mapping[str, str]] = {'support': 'main'}
    progress = Phase(
        "dict(type='MeanTeacherHook', decay=0.996, schedule='constant')",
        when=lambda model: model.with_rcm or model.with_mam,
    )

    def __init__(
        self,
        backbone: dict,
        cam_head: dict,
        neck: dict | None = None,
        *,
        loss_rcm: dict | None = None,
        loss_mam: dict | None = None,
        region_thr: float = 0.3,
        memory_size: int = 5,
        main_scales: Sequence[float] = (0.5, 1.0, 2.0),
        support_scales: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
        mam_ratio: float = 0.5,
        mam_own_forward: bool = False,
        mam_normalize: bool = False,
        ignore_bg: bool = False,
        mask_padding: bool = False,
        **kwargs: Any,
    ) -> None:
        parts = {'backbone': backbone, 'neck': neck, 'cam_head': cam_head}
        parts = deepcopy({name: cfg for name, cfg in parts.items() if cfg is not None})
        super().__init__(backbone, cam_head, neck, **kwargs)
        check_background(self)
        check_value('region_thr', region_thr, above=0)
        check_value('memory_size', memory_size, at_least=0)
        check_value('main_scales', main_scales, above=0, min_length=1)
        check_value('support_scales', support_scales, above=0, min_length=1)
        check_value('mam_ratio', mam_ratio, above=0, at_most=1)
        if 1 not in support_scales:
            raise ValueError(f'support_scales must hold 1, got {support_scales}')
        self.support = nn.ModuleDict({k: MODELS.build(v) for k, v in parts.items()})
        self.support.requires_grad_(False)
        self.loss_rcm = MODELS.build(loss_rcm or {'type': 'RegionalContrastiveLoss'})
        self.loss_mam = MODELS.build(loss_mam or {'type': 'MultiScaleAttentiveLoss'})
        self.with_rcm = self.loss_rcm.loss_weight > 0
        self.with_mam = self.loss_mam.loss_weight > 0
        self.region_thr = region_thr
        channels = self.cam_head.classifier.in_channels
        self.memory = (
            PrototypeMemory(self.num_classes, channels, memory_size)
            if memory_size
            else None
        )
        self.main_scales = tuple(main_scales)
        self.support_scales = tuple(support_scales)
        self.mam_ratio = mam_ratio
        self.mam_own_forward = mam_own_forward
        self.mam_normalize = mam_normalize
        self.ignore_bg = ignore_bg
        self.mask_padding = mask_padding
        self._register_load_state_dict_pre_hook(self._fill_support)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """MainNet and SupportNet, as modules of one structure."""
        main = nn.ModuleDict({name: getattr(self, name) for name in self.support})
        return {'main': main, 'support': self.support}

    def init_weights(self) -> None:
        """Initialize MainNet, and SupportNet as its copy."""
        super().init_weights()
        self.restart_support()

    def restart_support(self) -> None:
        """Make SupportNet a copy of MainNet, and empty the memory."""
        update_ema(self.support, self.networks['main'], decay=0)
        if self.memory is not None:
            self.memory.queue.zero_()

    def train(self, mode: bool = True) -> 'RCMMAM':
        """Switch MainNet; SupportNet stays in eval mode."""
        super().train(mode)
        self.support.eval()
        return self

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the losses of the classifier and of both modules.

        Args:
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples with ``gt_tags``, and masks ``gt_sem_seg`` of
                some images.
        """
        tags = stack_tags(data_samples)
        feats = self.extract_feat(inputs)
        losses = self.classification_losses(feats, tags)
        # Reading a phase requires its hook, and MAM alone needs no use_mam. The value
        # of progress is not used, but without its hook SupportNet is never updated.
        use_mam = self.use_mam if self.with_rcm and self.with_mam else self.with_mam
        if self.with_rcm or self.with_mam:
            type(self).progress.require(self)
        if self.warmup or not (self.with_rcm or use_mam):
            return losses

        valid = valid_maps(data_samples, inputs)
        used = valid if self.mask_padding else torch.ones_like(valid)
        embedding = self.cam_head.embed(feats)
        support_embedding, support_cams = self.support_cams(inputs, tags)
        support_cams = {r: cam * used[:, None] for r, cam in support_cams.items()}
        losses['cam_max'] = self.cam_head.classifier(embedding).amax().detach().float()
        if self.with_rcm:
            region = self.region(_sum(support_cams), tags, used, data_samples)
            label = self.without_background(region) if self.ignore_bg else region
            region_scale1 = self.region(support_cams[1.0], tags, used, data_samples)
            prototypes = self.prototypes(support_embedding, region_scale1)
            losses['loss_rcm'] = self.loss_rcm(embedding, prototypes, label)
            losses |= label_ratios(self.background_first(label), valid)
        if use_mam:
            part = self.mam_images(data_samples)
            cams = self.main_cams(*map(part, (inputs, embedding, tags)))
            cams = [cam * part(used)[:, None] for cam in cams]
            supports = [part(cam) for cam in support_cams.values()]
            if self.mam_normalize:
                cams, supports = ([_relative(c) for c in m] for m in (cams, supports))
            losses['loss_mam'] = self.loss_mam(cams, supports)
        return losses

    def mam_images(self, data_samples: list) -> Callable[[Tensor], Tensor]:
        """Return a function that selects the images of MAM, those without masks first.

        Args:
            data_samples: N data samples, of which ``mam_ratio * N``, rounded down to at
                least 1, are selected.
        """
        num = max(int(len(data_samples) * self.mam_ratio), 1)
        masked = ['gt_sem_seg' in sample for sample in data_samples]
        rows = sorted(sorted(range(len(masked)), key=masked.__getitem__)[:num])
        if rows == list(range(num)):
            return lambda batch: batch[:num]
        return lambda batch: torch.stack([batch[i] for i in rows])

    @torch.no_grad()
    def support_cams(
        self, inputs: Tensor, tags: Tensor, size: Sequence[int] | None = None
    ) -> tuple[Tensor, dict[float, Tensor]]:
        """Compute SupportNet's embedding and CAMs for both modules.

        Args:
            inputs: Normalized images (N, 3, H, W).
            tags: Image tags (N, K).
            size: Size of the CAMs; the size of the images by default.

        Returns:
            Embedding (N, D, h, w) at scale 1, and the CAM (N, K, H, W) of every scale,
            float32, at least 0, 0 for absent classes.
        """
        head: Any = self.support['cam_head']
        cams = {}
        for scale in self.support_scales:
            img = inputs if scale == 1 else rescale(inputs, scale, align_corners=True)
            maps = forward_in_parts(
                lambda part: head.embed(self.support_feats(part)), img
            )
            cam = resize(head.classifier(maps), size or inputs.shape[2:])
            cams[float(scale)] = cam.relu() * tags[:, :, None, None]
            if scale == 1:
                embedding = maps
        return embedding, cams

    def support_feats(self, inputs: Tensor) -> Feats:
        """Extract the features of SupportNet, always as a sequence."""
        feats = self.support['backbone'](inputs)
        if 'neck' in self.support:
            feats = self.support['neck'](feats)
        return (feats,) if isinstance(feats, Tensor) else feats

    def main_cams(
        self, inputs: Tensor, embedding: Tensor, tags: Tensor
    ) -> list[Tensor]:
        """Compute MainNet's CAMs (N, K, H, W) at each of its scales, with gradient.

        Args:
            inputs: Normalized images (N, 3, H, W).
            embedding: Embedding (N, D, h, w) of the forward at scale 1.
            tags: Image tags (N, K).
        """
        cams = []
        for scale in self.main_scales:
            maps = embedding
            if scale != 1 or self.mam_own_forward:
                img = rescale(inputs, scale, align_corners=True)
                maps = self.cam_head.embed(self.extract_feat(img))
            cam = self.cam_head.classifier(maps).relu()
            cams.append(resize(cam, inputs.shape[2:]) * tags[:, :, None, None])
        return cams

    @torch.no_grad()
    def region(
        self, cam: Tensor, tags: Tensor, used: Tensor, data_samples: list
    ) -> Tensor:
        """Compute regions (N, H, W) from CAMs, or from the masks of images with one.

        K is the background, 255 is ignored.
        """
        region = region_labels(cam, tags, self.region_thr).masked_fill(
            ~used, IGNORE_INDEX
        )
        label = given_or_made(self.background_first(region), data_samples)
        return torch.where(
            label == IGNORE_INDEX, label, (label - 1).remainder(self.num_classes)
        )

    @torch.no_grad()
    def prototypes(self, embedding: Tensor, region: Tensor) -> Tensor:
        """Compute prototypes (C, D) from the memory, or (N, C, D) without memory.

        Args:
            embedding: SupportNet's embedding (N, D, h, w).
            region: Region (N, H, W) of each pixel.
        """
        with torch.autocast(embedding.device.type, enabled=False):
            own = regional_prototypes(embedding, region, self.num_classes)
            # The sampler deals its draws to the ranks in turn, equally many to each:
            # this is the order in a single process.
            everyone = torch.stack(all_gather(own), 1).flatten(0, 1)
            others = leave_one_out(everyone)
        if self.memory is None:
            return others[get_rank() :: get_world_size()]
        if len(everyone) == 1:  # all others are earlier images
            earlier = self.memory()
            self.memory.push(everyone)
            return earlier
        self.memory.push(others)
        return self.memory()

    def without_background(self, region: Tensor) -> Tensor:
        """Ignore the background: replace its region by 255."""
        return region.masked_fill(region == self.num_classes - 1, IGNORE_INDEX)

    def background_first(self, region: Tensor) -> Tensor:
        """Convert regions to mmseg's order: 0 is the background, k + 1 class k."""
        order = (region + 1).remainder(self.num_classes)
        return torch.where(region == IGNORE_INDEX, region, order)

    def pseudo_sources(self) -> Sources:
        """Return ``cam`` and ``prediction`` of MainNet, ``region`` of SupportNet."""
        return super().pseudo_sources() | {'region': self.label_from_region}

    def label_from_region(self, context: InferenceContext) -> PseudoLabel:
        """Compute the region of an image, as in training."""
        _, cams = self.support_cams(context.inputs, context.tags, context.size)
        cam = _sum(cams)
        label = self.background_first(region_labels(cam, context.tags, self.region_thr))
        cam = normalize_cam(cam, context.tags)
        return label, torch.cat([background_score(cam, 1), cam], 1)

    def _fill_support(self, state: dict, prefix: str, *_: Any) -> None:
        """Fill SupportNet from MainNet if a checkpoint has no weights for it."""
        if any(key.startswith(f'{prefix}support.') for key in state):
            return
        for key in list(state):
            name = key[len(prefix) :]
            if key.startswith(prefix) and name.split('.')[0] in self.support:
                state[f'{prefix}support.{name}'] = state[key]


def _sum(cams: Mapping[float, Tensor]) -> Tensor:
    return reduce(torch.add, cams.values())


def _relative(cam: Tensor) -> Tensor:
    return cam / (cam.amax((2, 3), keepdim=True).detach() + 1e-5)

"""What every weakly supervised segmentor shares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from mmengine.structures import LabelData, PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...pseudo_labels import (
    background_score,
    cam_to_label,
    merge_cams,
    present_classes,
)
from ...utils import eval_mode, require_ops, scaled_size, valid_maps
from .inference_context import InferenceContext

PseudoLabel = tuple[Tensor, Tensor]
CPU_PIXELS = 1 << 17  # that a forward without gradient takes at once on a CPU


@MODELS.register_module()
class WSSSBase(EncoderDecoder):
    """An mmseg segmentor that is trained from image tags.

    On its own it trains the classifier alone: the plain CAM baseline. A method
    overrides :meth:`segmentation_losses` with what its paper adds, and
    :meth:`pseudo_sources` with the pseudo-labels that it can deliver. Prediction is
    that of mmseg (``whole``, ``slide``, test-time augmentation).

    Args:
        backbone: Config of any mmseg or mmpretrain backbone.
        decode_head: Config of any mmseg decode head, with K + 1 classes (background
            first), or K where the data set has no background class. A list of two is a
            head and a cascade head that refines it, such as ``PointHead``.
        cam_head: Config of the classifier, e.g. ``CAMHead``, with K classes.
        loss_cls: Config of the classification loss, called with (logits, tags).
        train_cfg: ``cam`` holds the arguments of :meth:`multi_scale_cam` in training.
        test_cfg: As in mmseg, and: ``cam`` (arguments of :meth:`multi_scale_cam`),
            ``bg_thr`` (background threshold of the source ``cam``, of no effect without
            a background class), ``cam_normalization`` (``'max'`` or ``'minmax'``, see
            ``normalize_cam``; the method's own by default), ``pseudo_sources``
            (pseudo-labels to attach to each prediction, for metrics and images) and
            ``predict_tags`` (attach ``pred_tags``).
        **kwargs: Arguments of mmseg's ``EncoderDecoder``.
    """

    cam_normalization = 'max'  # of normalize_cam

    def __init__(
        self,
        backbone: dict,
        decode_head: dict | list[dict],
        cam_head: dict,
        loss_cls: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        **kwargs: object,
    ) -> None:
        require_ops([backbone, decode_head, kwargs])
        super().__init__(
            backbone, decode_head, train_cfg=train_cfg, test_cfg=test_cfg, **kwargs
        )
        self.cam_head = MODELS.build(cam_head)
        self.cam_normalization = (test_cfg or {}).get(
            'cam_normalization', self.cam_normalization
        )
        self.loss_cls = MODELS.build(loss_cls or {'type': 'MultiLabelSoftMarginLoss'})
        self.has_background = self.num_classes > self.cam_head.num_classes
        self.warmup = False  # set by WeakWarmupHook

    def _init_decode_head(self, decode_head: dict | list[dict]) -> None:
        head, *refiners = (
            decode_head if isinstance(decode_head, list) else [decode_head]
        )
        super()._init_decode_head(head)
        if len(refiners) > 1:
            raise ValueError(
                f'decode_head may have one refining head, got {len(refiners)}'
            )
        self.refine_head = MODELS.build(refiners[0]) if refiners else None

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Classification loss, and after the warm-up what the method adds.

        Args:
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples with ``gt_tags``.
        """
        tags = self.tags(data_samples)
        feats = self.extract_feat(inputs)
        losses = {'loss_cls': self.loss_cls(self.cam_head(feats), tags)}
        if self.warmup:
            return losses | {'loss_idle': self.idle_loss()}
        return losses | self.segmentation_losses(inputs, feats, tags, data_samples)

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Maps of the backbone and neck, also where there is only one."""
        feats = super().extract_feat(inputs)
        return (feats,) if isinstance(feats, Tensor) else feats

    def segmentation_losses(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        tags: Tensor,
        data_samples: list,
    ) -> dict[str, Tensor]:
        """Losses on pseudo-labels; none in the baseline, whose decode head idles."""
        return {'loss_idle': self.idle_loss()}

    def idle_loss(self) -> Tensor:
        """Zero that depends on every trainable parameter: each gets a gradient."""
        return sum(p.sum() for p in self.parameters() if p.requires_grad) * 0.0

    def tags(self, data_samples: list) -> Tensor:
        """Tags (N, K) float32 in {0, 1} of the data samples."""
        missing = [s.get('img_path') for s in data_samples if 'gt_tags' not in s]
        if missing:
            raise KeyError(
                f'{missing[0]} has no gt_tags; wrap its dataset in WeakDataset and end '
                'the pipeline with PackWeakInputs'
            )
        return torch.stack([s.gt_tags.label for s in data_samples])

    def valid(self, data_samples: list, inputs: Tensor) -> Tensor:
        """Pixels (N, H, W) bool that show the image, not padding."""
        return valid_maps(data_samples, inputs)

    def denormalize(self, inputs: Tensor) -> Tensor:
        """Colors (N, 3, H, W) float32 in 0..255 of normalized images."""
        img = inputs.float()
        if getattr(self.data_preprocessor, '_enable_normalize', False):
            img = img * self.data_preprocessor.std + self.data_preprocessor.mean
        return img.round().clamp(0, 255)

    @torch.no_grad()
    def multi_scale_cam(
        self,
        inputs: Tensor,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        merge: str = 'mean',
        dropout: bool = False,
        paired: bool = False,
        train_mode: bool = False,
        size: Sequence[int] | None = None,
        feats: Sequence[Tensor] | Mapping[float, Sequence[Tensor]] | None = None,
    ) -> Tensor:
        """Class activation maps merged over scales and flipped copies.

        Only backbone, neck and ``cam_head`` run, without a graph and without an update
        of batch statistics; an image and its flipped copy share one forward.

        Args:
            inputs: Normalized images (N, 3, H, W).
            scales: Factors of the image's size (bilinear, sides rounded down).
            flip: Whether flipped copies take part.
            merge: ``'mean'``, ``'sum'`` or ``'max'`` over scales and flipped copies.
            dropout: Whether dropout stays active, as in ASDT's released code.
            paired: AFA's order of steps (tscd.md, section 5): the signed maps are
                resized, the maximum of an image and its flipped copy is taken, then
                the positive part, and then ``merge`` joins the scales.
            train_mode: As released by AFA: the network stays in the mode that it is
                in, and the decode head runs too, so that these images enter the
                batch statistics.
            size: Size of the result; by default that of the features at scale 1, or at
                the first scale where 1 is none of them.
            feats: Features of ``inputs`` where they are known, which saves forwards:
                those at scale 1, or a mapping from scales to features.

        Returns:
            CAM (N, K, h, w), at least 0, not normalized, no gradient.
        """
        known = {} if feats is None else feats
        if not isinstance(known, Mapping):
            known = {1.0: known}

        def cam_of(feats: Sequence[Tensor]) -> Tensor:
            if train_mode:
                self.decode_head(feats)
            return self.cam_head.raw_cam(feats) if paired else self.cam_head.cam(feats)

        cams: list[list[Tensor]] = []  # of each scale: plain, flipped
        with nullcontext() if train_mode else eval_mode(self, dropout):
            for scale in scales:
                img = inputs if scale == 1 else rescale(inputs, scale)
                if scale in known:
                    cam = cam_of(known[scale])
                    if flip:
                        cam = torch.cat([cam, self._cam(img.flip(-1), cam_of)])
                else:
                    views = torch.cat([img, img.flip(-1)]) if flip else img
                    cam = self._cam(views, cam_of)
                plain, *flipped = cam.float().chunk(2) if flip else [cam.float()]
                cams.append([plain, *(cam.flip(-1) for cam in flipped)])
        if size is None:
            reference = cams[scales.index(1) if 1 in scales else 0][0]
            if 1 in known:
                reference = known[1][self.cam_head.in_index]
            size = reference.shape[2:]
        if paired:
            pairs = [merge_cams(pair, size, 'max').relu() for pair in cams]
            return merge_cams(pairs, size, merge)
        return merge_cams([cam for pair in cams for cam in pair], size, merge)

    def _cam(self, img: Tensor, cam_of: Callable) -> Tensor:
        def maps_of(part: Tensor) -> Tensor:
            return cam_of(self.extract_feat(part))

        # Batch statistics are those of the whole batch.
        return maps_of(img) if self.backbone.training else in_parts(maps_of, img)

    def upsample(self, logits: Tensor, inputs: Tensor) -> Tensor:
        """Logits in float32 at the size of ``inputs`` (bilinear)."""
        return F.interpolate(
            logits.float(),
            size=inputs.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners,
        )

    def label_shares(self, label: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Diagnostics: share of labeled pixels, and of foreground among them."""
        known = (label != 255) & valid
        count = known.sum().clamp(min=1)
        return {
            'ratio_labeled': known.sum() / valid.sum().clamp(min=1),
            'ratio_foreground': (known & (label > 0)).sum() / count,
        }

    def mmseg_head_losses(
        self, feats: Sequence[Tensor], logits: Tensor, label: Tensor
    ) -> dict[str, Tensor]:
        """Losses of mmseg's refining and auxiliary heads, trained on a pseudo-label.

        Args:
            feats: Features of the backbone and neck.
            logits: Logits (N, C, h, w) of the decode head.
            label: Pseudo-label (N, H, W) int64, 255 where there is none.
        """
        samples = [SegDataSample(gt_sem_seg=PixelData(data=row[None])) for row in label]
        losses: dict[str, Tensor] = {}
        if self.refine_head is not None:
            refine = self.refine_head.loss(feats, logits, samples, self.train_cfg)
            losses |= add_prefix(refine, 'refine')
        if self.with_auxiliary_head:
            losses |= self._auxiliary_head_forward_train(feats, samples)
        return losses

    def decode(self, feats: Sequence[Tensor], batch_img_metas: list[dict]) -> Tensor:
        """Logits (N, C, H, W) of the decode head at the size of the image."""
        if self.refine_head is None:
            return self.decode_head.predict(feats, batch_img_metas, self.test_cfg)
        return self.refine_head.predict(
            feats, self.decode_head(feats), batch_img_metas, self.test_cfg
        )

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits (N, C, H, W) at the size of ``inputs``, as mmseg expects them."""
        return self.decode(self.extract_feat(inputs), batch_img_metas)

    def encode_probs(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Class probabilities (N, C, H, W) at the size of ``inputs``."""
        return self.probs_of(self.encode_decode(inputs, batch_img_metas))

    def probs_of(self, logits: Tensor) -> Tensor:
        """Class probabilities (N, C, H, W) of what :meth:`encode_decode` gives."""
        return logits.float().softmax(1)

    def hard_label(self, prob: Tensor, tags: Tensor) -> Tensor:
        """Classes (N, H, W) of highest score among those of the tags.

        Args:
            prob: Scores (N, C, H, W), 0 for absent classes.
            tags: Tags (N, K).

        Returns:
            Label int64; 255 in images that show no class at all, not even background.
        """
        nothing = ~present_classes(tags, self.has_background).any(1)
        return prob.argmax(1).masked_fill(nothing[:, None, None], 255)

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """mmseg's prediction, with pseudo-labels and tags where ``test_cfg`` asks."""
        results = super().predict(inputs, data_samples)
        if data_samples is None:
            return results
        sources = self.test_cfg.get('pseudo_sources', ())
        if sources:
            for sample, labels in zip(
                results, self.pseudo_labels(inputs, results, sources)
            ):
                for source, (label, prob) in labels.items():
                    sample.set_data({f'pseudo_{source}': PixelData(data=label[None])})
                    if source == 'cam':
                        cam = prob[1:] if self.has_background else prob
                        sample.set_data({'cam': PixelData(data=cam)})
        if self.test_cfg.get('predict_tags', False):
            scores = self.cam_head(self.extract_feat(inputs)).float().sigmoid()
            for sample, score in zip(results, scores):
                sample.pred_tags = LabelData(score=score)
        return results

    def pseudo_sources(self) -> dict[str, Callable[[InferenceContext], PseudoLabel]]:
        """Names of the pseudo-labels that this segmentor delivers, and their makers.

        A maker takes an :class:`InferenceContext` and returns a label (1, H, W) int64,
        255 for no label, and its soft map (1, C, H, W).
        """
        return {'cam': self.label_from_cam, 'prediction': self.label_from_prediction}

    @torch.no_grad()
    def pseudo_labels(
        self, inputs: Tensor, data_samples: list, sources: Iterable[str]
    ) -> list[dict[str, PseudoLabel]]:
        """Pseudo-labels of images at their original size.

        Args:
            inputs: Normalized images (N, 3, H, W), as the test pipeline gives them.
            data_samples: N data samples with ``gt_tags``.
            sources: Names out of :meth:`pseudo_sources`.

        Returns:
            For each image and source (label (H, W) int64, soft map (C, H, W)).

        Raises:
            KeyError: If a source is unknown.
        """
        makers = self.pseudo_sources()
        unknown = set(sources) - set(makers)
        if unknown:
            raise KeyError(
                f'{type(self).__name__} has no pseudo-label source {sorted(unknown)}; '
                f'it has {sorted(makers)}'
            )
        results = []
        for i, sample in enumerate(data_samples):
            context = InferenceContext(self, inputs[i : i + 1], sample)
            labels = {source: makers[source](context) for source in sources}
            results.append({k: (v[0], p[0]) for k, (v, p) in labels.items()})
        return results

    def label_from_cam(self, context: InferenceContext) -> PseudoLabel:
        """CAM; cut at ``test_cfg.bg_thr`` where there is a background class."""
        bg_thr = self.test_cfg.get('bg_thr', 0.45)
        if not self.has_background:
            return self.hard_label(context.cam, context.tags), context.cam
        label = cam_to_label(context.cam, context.tags, bg_thr=bg_thr)
        return label, torch.cat([background_score(context.cam, 1), context.cam], 1)

    def label_from_prediction(self, context: InferenceContext) -> PseudoLabel:
        """Network's prediction, whichever classes the tags name."""
        return context.prob.argmax(1), context.prob


def in_parts(maps_of: Callable[[Tensor], Tensor], img: Tensor) -> Tensor:
    """Maps of images (N, 3, H, W), for forwards without gradient.

    On a CPU, few images at a time, in channels-last order, stay in the cache.
    """
    if img.device.type != 'cpu':
        return maps_of(img)
    at_once = max(CPU_PIXELS // (img.shape[2] * img.shape[3]), 1)
    parts = img.contiguous(memory_format=torch.channels_last).split(at_once)
    return torch.cat([maps_of(part) for part in parts])


def rescale(inputs: Tensor, scale: float, align_corners: bool = False) -> Tensor:
    """Images at ``scale`` (bilinear), sides rounded down."""
    size = scaled_size(inputs.shape[2:], scale)
    return F.interpolate(
        inputs, size=size, mode='bilinear', align_corners=align_corners
    )

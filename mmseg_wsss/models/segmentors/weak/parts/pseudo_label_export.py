"""Pseudo-labels of test images, by the names of their sources."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from mmengine.structures import LabelData, PixelData
from torch import Tensor

from ....pseudo_labels import background_score, cam_to_label, hard_label
from ....utils import channel_argmax
from .inference_context import InferenceContext, InferenceNetwork

PseudoLabel = tuple[Tensor, Tensor]
Sources = dict[str, Callable[[InferenceContext], PseudoLabel]]


def check_sources(names: Iterable[str], sources: Sources, owner: object) -> None:
    """Raise a KeyError if a name is not among the sources of a segmentor."""
    unknown = sorted(set(names) - set(sources))
    if unknown:
        raise KeyError(
            f'{type(owner).__name__} has no pseudo-label source {unknown}; it has '
            f'{sorted(sources)}'
        )


@torch.no_grad()
def export_pseudo_labels(
    model: InferenceNetwork,
    inputs: Tensor,
    data_samples: list,
    names: Iterable[str],
    raw_cam: Tensor | None = None,
) -> list[dict[str, PseudoLabel]]:
    """Compute pseudo-labels of images at their original size.

    Args:
        model: Segmentor. Its ``pseudo_sources`` are functions from an
            :class:`InferenceContext` to a label (1, H, W) int64, 255 for unlabeled
            pixels, and a soft map (1, C, H, W).
        inputs: Normalized images (N, 3, H, W), as the test pipeline gives them.
        data_samples: N data samples, see :class:`InferenceContext`.
        names: Names of the sources to use.
        raw_cam: Precomputed CAM (N, K, H, W), see :class:`InferenceContext`.

    Returns:
        For each image and source, a label (H, W) int64 and a soft map (C, H, W).

    Raises:
        KeyError: If a source is unknown.
    """
    sources = model.pseudo_sources()
    check_sources(names, sources, model)
    results = []
    for i, sample in enumerate(data_samples):
        cam = None if raw_cam is None else raw_cam[i : i + 1]
        context = InferenceContext(model, inputs[i : i + 1], sample, cam)
        labels = {name: sources[name](context) for name in names}
        results.append({k: (v[0], p[0]) for k, (v, p) in labels.items()})
    return results


def attach_outputs(
    model: Any, inputs: Tensor, data_samples: list, raw_cam: Tensor | None = None
) -> None:
    """Attach the outputs that ``test_cfg`` of a segmentor selects.

    Args:
        model: Segmentor.
        inputs: Normalized images (N, 3, H, W).
        data_samples: N data samples; pseudo-labels need ``gt_tags`` in all of them.
        raw_cam: Precomputed CAM (N, K, H, W), see :class:`InferenceContext`.
    """
    settings = model.test_settings
    if all('gt_tags' in sample for sample in data_samples):
        labels = export_pseudo_labels(
            model, inputs, data_samples, settings.pseudo_sources, raw_cam
        )
        attach_pseudo_labels(data_samples, labels, model.has_background)
    if settings.predict_tags:
        logits = model.cam_head(model.extract_feat(inputs))
        for sample, score in zip(data_samples, logits.float().sigmoid()):
            sample.pred_tags = LabelData(score=score)


def attach_pseudo_labels(
    data_samples: list, labels: list[dict[str, PseudoLabel]], background: bool
) -> None:
    """Attach pseudo-labels to data samples as ``pseudo_NAME``.

    The source ``cam`` also attaches its foreground maps, as ``cam``.

    Args:
        data_samples: N data samples.
        labels: Result of :func:`export_pseudo_labels`.
        background: Whether channel 0 of soft maps is the background.
    """
    for sample, found in zip(data_samples, labels):
        for name, (label, prob) in found.items():
            sample.set_data({f'pseudo_{name}': PixelData(data=label[None])})
            if name == 'cam':
                cam = prob[1:] if background else prob
                sample.set_data({'cam': PixelData(data=cam)})


def label_from_cam(context: InferenceContext) -> PseudoLabel:
    """Cut the CAM at ``test_cfg.bg_thr``; without background take the strongest tag."""
    model = context.model
    if not model.has_background:
        return hard_label(context.cam, context.tags), context.cam
    bg_thr = model.test_settings.bg_thr
    label = cam_to_label(context.cam, context.tags, bg_thr=bg_thr)
    return label, torch.cat([background_score(context.cam, 1), context.cam], 1)


def label_from_prediction(context: InferenceContext) -> PseudoLabel:
    """Take the class with the highest predicted probability.

    A network with a decode head predicts all classes, tagged or not; a classifier
    predicts the tagged ones.
    """
    return channel_argmax(context.prob), context.prob

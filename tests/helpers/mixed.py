"""Every method with tags and masks, in one batch."""

from typing import Any

from torch import nn

from .methods import METHODS, NUM_TAGS
from .tiny import batch_of, give_masks, tiny_network

CLASSIFIER = {'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS}


def mixed_network(name: str, **settings: Any) -> nn.Module:
    """The network of :func:`.tiny_network`; a semi-supervised method uses the tags."""
    if not METHODS[name].semi:
        return tiny_network(name, **settings)
    chosen: dict[str, Any] = {'tag_filter': {'margin': 2.0}, 'class_aware_ce': True}
    if name != 'SupervisedSegmentor':  # without labels for unlabeled images
        chosen['cam_fusion'] = {'weight': 1.0}
    own = settings.pop('semi_train_cfg', {})
    chosen = METHODS[name].model['semi_train_cfg'] | chosen | own
    filtered = {'prediction_filter': {'thr': 0.05}}
    return tiny_network(
        name,
        cam_head=CLASSIFIER,
        semi_train_cfg=chosen,
        semi_test_cfg=filtered,
        **settings,
    )


def sure(model: nn.Module, scale: float = 40.0) -> nn.Module:
    """Let the classifier be sure, of some classes at least."""
    weight = model.cam_head.classifier.weight
    weight.data = weight.data.abs() * scale
    return model


def mixed_batch(name: str, **options: Any) -> tuple[Any, Any]:
    """The batch of :func:`.batch_of`: the first two images have labels of both kinds.

    In a weakly supervised method they have masks beside their tags, in a
    semi-supervised one their unlabeled views have tags.
    """
    inputs, samples = batch_of(name, **options)
    if not METHODS[name].semi:
        give_masks(samples[:2])
        return inputs, samples
    for views in samples.values():
        for view, labeled in zip(views[:2], samples['sup']):
            view.gt_tags = labeled.gt_tags.clone()
    return inputs, samples


# Methods with settings that change their step on labels of both kinds.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    'CAMSeg, masks only': ('CAMSeg', {'masks_only': True}),
    'CPS without CutMix': ('CPS', {'semi_train_cfg': {'cutmix': None}}),
    'MKD on unlabeled images': ('MKD', {'semi_train_cfg': {'semi_on_labeled': False}}),
}
# Network and batch, of the labels of a method alone and of both kinds.
LABELS = {'own': (tiny_network, batch_of), 'mixed': (mixed_network, mixed_batch)}

"""Weakly supervised methods on batches in which images have masks."""

import sys
from collections.abc import Mapping
from typing import Any
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import FCN_HEAD, METHODS, NUM_TAGS, WEAK
from helpers.tiny import CROP, set_phase, tiny_batch, tiny_network
from mmengine.structures import PixelData

from mmseg_wsss.models.pseudo_labels import leave_one_out, regional_prototypes
from mmseg_wsss.models.segmentors.weak import given_or_made
from mmseg_wsss.models.segmentors.weak.parts import confident_regions

# Phases in which labels are made, by method.
PHASES = [
    (name, number)
    for name in WEAK
    for number, phase in enumerate(METHODS[name].phases)
    if phase and not phase['warmup']
]
# RCM's labels and prototypes have the same regions at a single scale.
SETTINGS: dict[str, dict] = {'RCMMAM': {'support_scales': (1.0,), 'memory_size': 0}}
# Terms of labels that are no cross entropy.
OF_REGIONS = {'loss_rcm', 'loss_affinity', 'loss_displacement'}
every_phase = pytest.mark.parametrize(('name', 'number'), PHASES)


def network(name: str, number: int, **settings: Any) -> torch.nn.Module:
    """The same network each time, without dropout, with an auxiliary head if it may."""
    settings = SETTINGS.get(name, {}) | settings
    if not METHODS[name].classifier:
        settings['auxiliary_head'] = FCN_HEAD | {'dropout_ratio': 0.0}
    model = tiny_network(name, drop=False, **settings)
    set_phase(model, METHODS[name].phases[number])
    return model


def step(
    model: torch.nn.Module, masks: Mapping[int, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[torch.Tensor], dict[str, list]]:
    """Losses, labels before masks take their place, and arguments of the loss terms.

    Args:
        model: Network.
        masks: Masks (H, W) by the number of their image.
    """
    inputs, samples = tiny_batch(2)
    for i, mask in masks.items():
        samples[i].gt_sem_seg = PixelData(data=mask[None])
    made: list[torch.Tensor] = []
    seen: dict[str, list] = {}

    def spy(label, *args):
        made.append(label)
        return given_or_made(label, *args)

    def note(name, function):
        def noting(*args, **settings):
            result = function(*args, **settings)
            seen.setdefault(name, []).append((args, result))
            return result

        return noting

    for key in ('loss_seg', 'loss_affinity', 'loss_displacement', 'loss_rcm'):
        if hasattr(model, key):
            getattr(model, key).forward = note(key, getattr(model, key).forward)
    if hasattr(model, 'auxiliary_head'):
        loss = model.auxiliary_head.loss_decode
        loss.forward = note('auxiliary', loss.forward)
    for key in ('dense_energy', 'distill'):
        if hasattr(model, key):
            setattr(model, key, note(key, getattr(model, key)))
    module = sys.modules[type(model).__module__]
    owner = module if hasattr(module, 'given_or_made') else confident_regions
    torch.manual_seed(0)  # of random points
    with mock.patch.object(owner, 'given_or_made', spy):
        losses = model.loss(inputs, samples)
    return losses, [label for label in made if label.dim() == 3], seen


def some_mask() -> torch.Tensor:
    """A mask of every class, tagged or not, and ignored pixels."""
    mask = torch.arange(CROP[1]).remainder(NUM_TAGS + 1).expand(CROP).clone()
    mask[:5] = 255
    mask[-12:] = 0
    return mask


@every_phase
def test_the_masks_replace_the_labels_exactly(name, number):
    """Masks equal to a made label leave every term with this label as it is."""
    expected, made, _ = step(network(name, number), {})
    # AFA: affinity, segmentation. ASDT: teacher B and energy, student.
    own_terms = {
        ('AFA', 2): [{'loss_affinity'}, {'loss_ce', 'loss_dense', 'aux.loss_ce'}],
        ('ASDT', 2): [
            {'loss_teacher_ce', 'loss_teacher_dense', 'loss_student_dense'},
            {'loss_student_ce', 'aux.loss_ce'},
        ],
    }
    assert made
    for i, label in enumerate(made):
        terms = own_terms.get((name, number), [set(expected)] * len(made))[i]
        found, _, _ = step(network(name, number), dict(enumerate(label)))
        for key in terms:
            assert torch.equal(found[key], expected[key]), key
        other = (label + 1).remainder(NUM_TAGS + 1)
        changed = step(network(name, number), dict(enumerate(other)))[0]
        own = {k for k in terms if k.endswith('_ce') or k in OF_REGIONS}
        assert own
        assert all(changed[k] != expected[k] for k in own), own


def balanced(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Half the mean over background pixels and half the mean over the others."""
    values = F.cross_entropy(logits, label, ignore_index=255, reduction='none')
    return (values[label == 0].mean() + values[(label > 0) & (label < 255)].mean()) / 2


@every_phase
def test_a_mask_is_the_label_of_its_image_alone(name, number):
    mask = some_mask()
    made = step(network(name, number), {})[1]
    model = network(name, number)
    _, _, seen = step(model, {0: mask})
    # AFA's affinity and ASDT's teacher B have the first label, other terms the last.
    first, last = (torch.stack([mask, label[1]]) for label in (made[0], made[-1]))
    to_first = {'loss_affinity'} if name == 'AFA' else set()
    if METHODS[name].phases[number].get('pwm_high'):
        to_first = {'loss_seg', 'dense_energy'}
    assert seen
    for term, calls in seen.items():
        expected = first if term in to_first else last
        for args, result in calls:
            label = args[{'dense_energy': 3, 'distill': 2, 'loss_rcm': 2}.get(term, 1)]
            if term in ('loss_affinity', 'loss_displacement'):
                small = F.interpolate(expected[:, None].float(), label.shape[1:])
                assert torch.equal(label, small[:, 0].long())
            elif term == 'loss_rcm':  # the background is the last class
                order = torch.tensor([NUM_TAGS, *range(NUM_TAGS), *[255] * 249])
                assert torch.equal(label, order[expected])
            else:
                assert torch.equal(label, expected), term
            if term == 'loss_seg':
                value = model.loss_seg.loss_weight * balanced(args[0], expected)
                torch.testing.assert_close(result, value)
            if term in ('auxiliary', 'distill'):
                value = F.cross_entropy(args[0], expected, ignore_index=255)
                torch.testing.assert_close(result, value)


def test_prototypes_of_rcm_are_those_of_the_masks():
    model = network('RCMMAM', 1)
    mask = some_mask()
    _, _, seen = step(model, {0: mask, 1: mask.flip(1)})
    inputs, samples = tiny_batch(2)
    tags = torch.stack([sample.gt_tags.label for sample in samples])
    embedding, _ = model.support_cams(inputs, tags)
    regions = torch.stack([mask, mask.flip(1)])
    regions = torch.where(regions == 255, 255, (regions - 1) % (NUM_TAGS + 1))
    own = regional_prototypes(embedding, regions, NUM_TAGS + 1)
    ((args, _),) = seen['loss_rcm']
    assert torch.equal(args[1], leave_one_out(own))
    assert (own.norm(dim=-1) > 0).all()


def test_soft_distillation_learns_the_masks_as_hard_distillation_does():
    masks = {0: some_mask(), 1: some_mask().flip(0)}
    losses = [
        step(network('ASDT', 2, distill_mode=mode), masks)[0]['loss_student_ce']
        for mode in ('hard', 'soft')
    ]
    torch.testing.assert_close(*losses)


@every_phase
@pytest.mark.parametrize('kind', ['ignored all over', 'one absent class'])
def test_degenerate_masks(name, number, kind):
    """Image 1 has the tags 1 and 4; a mask may show another class, or nothing."""
    value = {'ignored all over': 255, 'one absent class': 4}[kind]
    model = network(name, number)
    mask = torch.full(CROP, value)
    losses, _, _ = step(model, {0: mask, 1: mask})
    total, values = model.parse_losses(losses)
    total.backward()
    assert all(torch.isfinite(value).all() for value in values.values())
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert torch.isfinite(parameter.grad).all(), key
    if value == 255 and 'loss_ce' in losses:
        assert losses['loss_ce'] == 0


@pytest.mark.parametrize('name', ['AffinityNet', 'IRNet'])
def test_files_of_some_images_and_masks_of_others(name):
    """A mask comes before a file, and either before the CAM."""
    labels = torch.stack([some_mask(), some_mask().flip(0)])
    found = []
    for files in ((1,), (0, 1)):
        model = network(name, 1)
        model.train_cam = None  # not needed
        inputs, samples = tiny_batch(2)
        for i in files:
            samples[i].pseudo_label = PixelData(data=labels[1:])
        samples[0].gt_sem_seg = PixelData(data=labels[:1])
        found.append(model.loss(inputs, samples))
    assert found[0] == found[1]
    expected = step(network(name, 1), dict(enumerate(labels)))[0]
    assert found[0] == expected


def test_a_mask_of_another_size_is_named():
    inputs, samples = tiny_batch(2)
    samples[1].gt_sem_seg = PixelData(data=torch.zeros(1, 40, 48, dtype=torch.int64))
    with pytest.raises(ValueError, match=r'1\.png: gt_sem_seg has \(40, 48\) pixels'):
        network('CAMSeg', 1).loss(inputs, samples)

"""Images that give little or nothing to learn from."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from helpers.methods import METHODS, WEAK
from helpers.mixed import LABELS, VARIANTS, mixed_batch, mixed_network
from helpers.tiny import CROP, batch_of, set_phase, tiny_batch, tiny_network
from mmengine.structures import PixelData

BATCHES = {
    'two images': {},
    'no tag at all': {'tags': ((), ())},
    'one without tags': {'tags': ((2,), ())},
    'most classes absent': {'tags': ((1,), (1,))},
    'every class present': {'tags': (range(6), range(6))},
    'one image': {'num': 1},
    'one image of padding': {'num': 1, 'valid': False},
    'odd size': {'size': (37, 51)},
    'tiny': {'size': (9, 7)},
}
# Methods with a threshold that no pixel passes, and those that take labels of files.
UNSURE = [name for name, method in METHODS.items() if method.nothing_sure]
FROM_FILES = ('AffinityNet', 'IRNet')
# Ratios of pixels with a label, and beginnings of terms that have no pseudo-label.
RATIOS = {'ratio_labeled', 'ratio_confident'}
WITHOUT_LABELS = (
    'sup_',
    'loss_cls',
    'loss_idle',
    'loss_dense',
    'loss_teacher_dense',
    'loss_student_dense',
    'loss_scd',
    'loss_er',
    'loss_mam',
)


def check_step(method: str, model: torch.nn.Module, phase: dict, batch: Any) -> dict:
    """One step: finite losses, and a finite gradient for every trained parameter."""
    set_phase(model, phase)
    model.zero_grad(set_to_none=True)
    losses = model.loss(*deepcopy(batch))
    for name, value in losses.items():
        assert torch.isfinite(value).all(), f'{phase}: {name} = {value}'
    model.parse_losses(losses)[0].backward()
    for name, parameter in model.named_parameters():
        teachers = 'teacher' if METHODS[method].semi else 'support.'
        if name.startswith(teachers):
            assert parameter.grad is None, f'{phase}: {name} has a gradient'
            continue
        assert parameter.grad is not None, f'{phase}: {name} has no gradient'
        assert torch.isfinite(parameter.grad).all(), f'{phase}: {name}'
    return losses


@pytest.mark.parametrize('labels', LABELS)
@pytest.mark.parametrize('kind', BATCHES)
@pytest.mark.parametrize('method', METHODS)
def test_every_step_is_finite_and_reaches_every_parameter(method, kind, labels):
    network, batch_of = LABELS[labels]
    model, batch = network(method), batch_of(method, **BATCHES[kind])
    for phase in METHODS[method].phases:
        check_step(method, model, phase, batch)


@pytest.mark.parametrize('kind', BATCHES)
@pytest.mark.parametrize('variant', VARIANTS)
def test_every_step_of_a_variant(variant, kind):
    method, settings = VARIANTS[variant]
    model = mixed_network(method, **settings)
    batch = mixed_batch(method, **BATCHES[kind])
    for phase in METHODS[method].phases:
        check_step(method, model, phase, batch)


@pytest.mark.parametrize('labels', LABELS)
@pytest.mark.parametrize('method', METHODS)
def test_one_class_beside_the_background(method, labels):
    network, batch_of = LABELS[labels]
    model = network(method, num_tags=1)
    heads = [part for part in model.modules() if hasattr(part, 'conv_seg')]
    assert {head.num_classes for head in heads} <= {2}
    batch = batch_of(method, num_tags=1, tags=((0,), ()))
    for phase in METHODS[method].phases:
        check_step(method, model, phase, batch)


@pytest.mark.parametrize('method', [*UNSURE, *FROM_FILES])
def test_labels_that_are_all_ignored(method):
    model = tiny_network(method, **METHODS[method].nothing_sure)
    inputs, samples = batch_of(method)
    if method in FROM_FILES:
        for sample in samples:
            sample.pseudo_label = PixelData(data=torch.full((1, *CROP), 255))
    found = {}
    for phase in METHODS[method].phases:
        losses = check_step(method, model, phase, (inputs, samples))
        without = WITHOUT_LABELS
        if phase.get('pwm_high'):  # teacher B labels every pixel
            without = (*without, 'loss_student_ce')
        found |= {
            name: float(value)
            for name, value in losses.items()
            if ('loss' in name and not name.startswith(without)) or name in RATIOS
        }
        assert not any(found.values()), (phase, found)
    assert found.keys() & RATIOS
    assert any('loss' in name for name in found)


@pytest.mark.parametrize('labels', LABELS)
@pytest.mark.parametrize('method', METHODS)
def test_padding_alone_trains_nothing_but_the_classifier(method, labels):
    network, batch_of = LABELS[labels]
    model, batch = network(method), batch_of(method, valid=False)
    for phase in METHODS[method].phases:
        losses = check_step(method, model, phase, batch)
        rest = {
            name: float(value)
            for name, value in losses.items()
            if 'loss' in name and not name.endswith('loss_cls')
        }
        assert not any(rest.values()), rest


@pytest.mark.parametrize('method', WEAK)
@pytest.mark.parametrize('size', [(33, 33), (37, 51)])
def test_pseudo_labels_of_any_image(method, size):
    model = tiny_network(method).eval()
    sources = METHODS[method].pseudo_sources
    assert set(sources) == set(model.pseudo_sources())
    batch = tiny_batch(2, size, ((), (1, 4)))
    for results in model.pseudo_labels(*batch, sources):
        for source, (label, prob) in results.items():
            assert label.shape == size, source
            assert prob.shape[1:] == size, source
            assert torch.isfinite(prob).all(), source
            assert ((label >= 0) & (label < len(prob)) | (label == 255)).all(), source

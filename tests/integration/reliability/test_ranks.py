"""Two gloo processes with one image each are one process with both."""

from typing import Any

import pytest
import torch
from helpers import run_processes
from helpers.methods import BACKBONE, METHODS, NUM_TAGS, WEAK
from helpers.tiny import batch_of, set_phase, tiny_network
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

# Which of both images are padding all over: nothing on them is reliable.
CASES = {'two images': (), 'nothing on rank 0': (0,), 'nothing on rank 1': (1,)}
TAGS = ((0, 3), (1,))
STATISTICS = ('isda', 'memory')


def build(method: str, **settings: Any) -> torch.nn.Module:
    """The same network in every process: no dropout, fixed batch statistics."""
    init_default_scope('mmseg')
    backbone = BACKBONE | {'norm_eval': True}
    model = tiny_network(method, drop=False, backbone=backbone, **settings).double()
    if hasattr(model, 'random_points'):  # drawn on each rank: give all the same
        points = torch.rand(1, 30, 2, generator=torch.Generator().manual_seed(0))
        model.random_points = lambda valid: points.expand(len(valid), -1, -1)
    return model


def images(node: Any, blank: tuple[int, ...], rank: int | None) -> Any:
    """A batch in float64 with blank images, or the one of a rank."""
    if isinstance(node, dict):
        return {key: images(value, blank, rank) for key, value in node.items()}
    if isinstance(node, tuple):
        return tuple(images(value, blank, rank) for value in node)
    part = slice(None) if rank is None else slice(rank, rank + 1)
    if isinstance(node, torch.Tensor):
        inputs = node.double()
        inputs[list(blank)] = 0
        return inputs[part]
    for i in blank:
        node[i].valid_map.data[:] = False
        if 'gt_sem_seg' in node[i]:
            node[i].gt_sem_seg.data[:] = 255
    return node[part]


def statistics(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What MKD and RCM have gathered of the features."""
    return {
        n: b.clone() for n, b in model.named_buffers() if n.split('.')[0] in STATISTICS
    }


def step(
    method: str, rank: int | None = None, masks: bool = False, **settings: Any
) -> dict[str, dict[str, torch.Tensor]]:
    """Losses and gradients of every case and phase, of one image or of both.

    With ``masks`` the first image has a mask of a class that its tags lack.
    """
    model = build(method, **settings)
    wrapped = model
    if rank is not None:
        wrapped = MMDistributedDataParallel(
            model, find_unused_parameters=False, broadcast_buffers=False
        )
    results = {}
    for case, blank in CASES.items():
        batch = batch_of(method, num=2, tags=TAGS)
        if masks:
            mask = torch.zeros(1, *batch[0].shape[2:], dtype=torch.int64)
            mask[:, 12:20, 5:30] = 2
            batch[1][0].gt_sem_seg = PixelData(data=mask)
        inputs, samples = images(batch, blank, rank)
        for number, phase in enumerate(METHODS[method].phases):
            set_phase(model, phase)
            model.zero_grad()
            losses = wrapped(inputs, samples, mode='loss')
            model.parse_losses(losses)[0].backward()
            results[f'{case}, phase {number}'] = {
                **{k: v.detach() for k, v in losses.items() if 'loss' in k},
                **{
                    name: p.grad.clone()
                    for name, p in model.named_parameters()
                    if p.requires_grad
                },
                **statistics(model),
            }
    return results


def step_of_rank(rank: int, method: str, masks: bool, settings: dict) -> dict:
    return step(method, rank, masks, **settings)


@pytest.mark.parametrize(
    ('method', 'masks', 'settings'),
    [
        *((name, False, {}) for name in METHODS),
        *((name, True, {}) for name in WEAK),
        ('CAMSeg', True, {'masks_only': True}),
    ],
)
def test_two_processes_equal_one(method, masks, settings):
    expected = step(method, masks=masks, **settings)
    args = (method, masks, settings)
    first, second = run_processes(step_of_rank, 2, args, timeout=300)
    assert expected.keys() == first.keys()
    for case, values in expected.items():
        assert any(value.abs().sum() > 0 for value in values.values()), case
        for name, value in values.items():
            # DDP has averaged the gradients already; losses are averaged here.
            mean = (first[case][name] + second[case][name]) / 2
            torch.testing.assert_close(
                mean.to(value),
                value,
                rtol=1e-5,
                atol=1e-5 * float(value.abs().max()),
                msg=lambda text, at=f'{case}, {name}': f'{at}: {text}',
            )


def prototypes(size: int, rank: int | None = None) -> list[torch.Tensor]:
    """Prototypes of four images, and the memory; ranks take turns in the images."""
    init_default_scope('mmseg')
    model = tiny_network('RCMMAM', memory_size=size)
    rng = torch.Generator().manual_seed(0)
    width = model.cam_head.classifier.in_channels
    embedding = torch.randn(4, width, 5, 6, generator=rng)
    region = torch.randint(NUM_TAGS + 1, (4, 10, 12), generator=rng)
    part = slice(None) if rank is None else slice(rank, None, 2)
    found = model.prototypes(embedding[part], region[part])
    return [found, model.memory.queue] if size else [found]


def prototypes_of_rank(rank: int, size: int) -> list[torch.Tensor]:
    return prototypes(size, rank)


@pytest.mark.parametrize('size', [0, 3])
def test_prototypes_of_two_processes_are_in_the_order_of_one(size):
    expected = prototypes(size)
    ranks = run_processes(prototypes_of_rank, 2, (size,), timeout=300)
    for rank, found in enumerate(ranks):
        whole = expected if size else [expected[0][rank::2]]
        torch.testing.assert_close(found, whole)

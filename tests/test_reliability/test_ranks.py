"""Two gloo processes with one picture each are one process with both."""

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope

from mmseg_wsss.testing import run_processes
from mmseg_wsss.testing.tiny import (
    METHODS,
    set_phase,
    tiny_batch,
    tiny_model,
    tiny_network,
)

# Which of both pictures are padding all over: nothing on them is reliable.
CASES = {'two pictures': (), 'nothing on rank 0': (0,), 'nothing on rank 1': (1,)}
TAGS = ((0, 3), (1,))


def build(method: str) -> torch.nn.Module:
    """The same network in every process: no dropout, fixed batch statistics."""
    init_default_scope('mmseg')
    backbone = tiny_model(method)['backbone'] | {'norm_eval': True}
    return tiny_network(method, drop=False, backbone=backbone).double()


def step(method: str, rank: int | None = None) -> dict[str, dict[str, torch.Tensor]]:
    """Losses and gradients of every case and phase, of one picture or of both."""
    model = build(method)
    wrapped = model
    if rank is not None:
        wrapped = MMDistributedDataParallel(
            model, find_unused_parameters=False, broadcast_buffers=False
        )
    results = {}
    for case, blank in CASES.items():
        inputs, samples = tiny_batch(2, tags=TAGS)
        for i in blank:
            inputs[i] = 0
            samples[i].valid_map.data[:] = False
        if rank is not None:
            inputs, samples = inputs[rank : rank + 1], samples[rank : rank + 1]
        for number, phase in enumerate(METHODS[method].phases):
            set_phase(model, phase)
            model.zero_grad()
            losses = wrapped(inputs.double(), samples, mode='loss')
            model.parse_losses(losses)[0].backward()
            results[f'{case}, phase {number}'] = {
                **{k: v.detach() for k, v in losses.items() if 'loss' in k},
                **{name: p.grad.clone() for name, p in model.named_parameters()},
            }
    return results


def step_of_rank(rank: int, method: str) -> dict:
    return step(method, rank)


@pytest.mark.parametrize('method', METHODS)
def test_two_processes_equal_one(method):
    expected = step(method)
    first, second = run_processes(step_of_rank, 2, (method,), timeout=300)
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

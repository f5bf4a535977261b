"""Each run of a comparison gets a GPU of its own."""

import pytest
import torch

from mmseg_wsss.pipelines.compare import _device


@pytest.mark.parametrize(
    ('visible', 'count', 'devices'),
    [('', 2, ['0', '1', '0']), ('5,7', 2, ['5', '7', '5']), ('', 0, [None] * 3)],
)
def test_runs_take_turns_on_the_gpus(visible, count, devices, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: count)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    found = [_device(slot) for slot in range(3)]
    assert [part.get('CUDA_VISIBLE_DEVICES') for part in found] == devices
    assert {part['OMP_NUM_THREADS'] for part in found} == {'1'}

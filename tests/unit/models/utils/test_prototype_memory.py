"""The last prototypes of each class."""

from collections import deque

import pytest
import torch
import torch.nn.functional as F

from mmseg_wsss.models.utils import PrototypeMemory


def test_the_memory_is_a_queue_for_each_class():
    rng = torch.Generator().manual_seed(0)
    memory = PrototypeMemory(num_classes=3, channels=4, size=5)
    assert memory().eq(0).all()
    queues = [deque(maxlen=5) for _ in range(3)]
    for _ in range(6):
        batch = F.normalize(torch.rand(4, 3, 4, generator=rng), dim=-1)
        batch[torch.rand(4, 3, generator=rng) < 0.7] = 0
        batch[:, 2] = 0  # this class never comes
        batch[0, 0] *= 0.9  # too short to be one
        memory.push(batch)
        for k, queue in enumerate(queues):
            queue.extend(row for row in batch[:, k] if row.norm() > 0.999)
            entries = [row for row in memory.queue[k] if row.norm() > 0]
            assert len(entries) == len(queue)
            assert all(torch.equal(a, b) for a, b in zip(entries, queue))
    assert {len(queue) for queue in queues[:2]} == {5}
    expected = [F.normalize(sum(queue), dim=0) for queue in queues[:2]]
    torch.testing.assert_close(memory()[:2], torch.stack(expected))
    assert memory()[2].eq(0).all()


def test_what_is_not_finite_is_not_remembered():
    memory = PrototypeMemory(2, 3)
    memory.push(torch.full((1, 2, 3), torch.nan))
    assert memory.queue.eq(0).all()


def test_the_memory_is_in_the_checkpoint():
    memory, copy = PrototypeMemory(2, 3), PrototypeMemory(2, 3)
    memory.push(F.normalize(torch.ones(1, 2, 3), dim=-1))
    copy.load_state_dict(memory.state_dict())
    assert torch.equal(copy(), memory())
    assert copy().abs().sum() > 0


def test_a_memory_needs_room():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        PrototypeMemory(2, 3, 0)

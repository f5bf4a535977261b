"""Operations without a deterministic kernel warn, and only where that was asked for."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import set_random_seed

from mmseg_wsss.engine.hooks import DeterministicWarnHook


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """Leave the process as it was."""
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    backend = torch.backends.cudnn
    flags = {name: getattr(backend, name) for name in ('benchmark', 'deterministic')}
    state = torch.random.get_rng_state()
    yield
    torch.use_deterministic_algorithms(False)
    torch.random.set_rng_state(state)
    for name, value in flags.items():
        setattr(backend, name, value)


def no_deterministic_kernel() -> torch.Tensor:
    """Fill from repeated values: of the few that also raise on a CPU."""
    target = torch.zeros(3)
    return target.put_(torch.tensor([0, 2]), torch.ones(2))


def test_it_warns_where_pytorch_raises():
    set_random_seed(0, deterministic=True)
    with pytest.raises(RuntimeError, match='does not have a deterministic'):
        no_deterministic_kernel()
    DeterministicWarnHook().before_run(SimpleNamespace())
    assert torch.are_deterministic_algorithms_enabled()
    with pytest.warns(UserWarning, match='does not have a deterministic'):
        no_deterministic_kernel()


def test_it_does_nothing_without_the_setting():
    torch.use_deterministic_algorithms(False)
    DeterministicWarnHook().before_run(SimpleNamespace())
    assert not torch.are_deterministic_algorithms_enabled()

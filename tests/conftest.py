"""Fixtures that every test may use."""

import gc
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from helpers.tiny import write_tiny_voc
from helpers.training import unformatted_configs
from mmengine.registry import init_default_scope

import mmseg_wsss  # noqa: F401  (registers everything)

ROOT = Path(__file__).resolve().parents[1]
INTEGRATION = ROOT / 'tests/integration'


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import none of the tests that ``-m 'not integration'`` skips."""
    skipped = config.option.markexpr == 'not integration'
    return True if skipped and collection_path == INTEGRATION else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of tests/integration: ``-m 'not integration'`` skips them."""
    for item in items:
        if item.path.is_relative_to(INTEGRATION):
            item.add_marker('integration')


def pytest_collection_finish() -> None:
    """Exempt what is imported from garbage collection, which would look at it all."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def shared() -> Path:
    """Folder of shared test data; the test is skipped where it is absent."""
    path = Path(os.environ.get('WSSS_SHARED', ROOT.parent / 'shared')).resolve()
    if not path.is_dir():
        pytest.skip(f'no shared test data at {path} (set WSSS_SHARED)')
    return path


@pytest.fixture(scope='session')
def tiny_voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small images; nobody writes to them."""
    return write_tiny_voc(tmp_path_factory.mktemp('tiny_voc'))


@pytest.fixture(scope='session', autouse=True)
def quick_configs() -> Iterator[None]:
    """Configs are written without a formatter in this process."""
    with unformatted_configs():
        yield


@pytest.fixture(scope='session', autouse=True)
def quick_datasets() -> Iterator[None]:
    """No dataset collects all garbage when it is built, as MMEngine's do.

    That takes longer than a tiny training.
    """
    collector = SimpleNamespace(collect=lambda: 0)
    with mock.patch('mmengine.dataset.base_dataset.gc', collector):
        yield


@pytest.fixture(autouse=True)
def mmseg_scope() -> None:
    """Names resolve in mmseg's registries, as in any run of mmseg."""
    init_default_scope('mmseg')


@pytest.fixture(autouse=True)
def unchanged_process(initial_process: dict[str, object]) -> Iterator[None]:
    """Fail a test that leaves the process changed, and restore the random states.

    The state is compared with the one at the start of the session, so that changes by
    fixtures of modules are found too. It is restored, so that one test fails only.
    """
    seeds = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(seeds[0])
    np.random.set_state(seeds[1])
    torch.set_rng_state(seeds[2])
    found = process_state()
    changed = [
        f'{key} was {value}, is {found.get(key)}'
        for key, value in initial_process.items()
        if found.get(key) != value
    ]
    changed += [f'{key} is new' for key in found.keys() - initial_process.keys()]
    if changed:
        restore_process(initial_process)
        pytest.fail('the test left the process changed: ' + '; '.join(changed))


@pytest.fixture(scope='session')
def initial_process() -> dict[str, object]:
    """State of the process before the first test."""
    return process_state()


SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
# pytest and the compilers of torch keep notes of their own in the environment.
OTHERS_VARIABLES = ('PYTEST_', 'TORCHINDUCTOR_', '_TORCHINDUCTOR_', 'TRITON_')


def process_state() -> dict[str, object]:
    """Return what a test must leave as it found it."""
    handlers = {f'handler of {s.name}': signal.getsignal(s) for s in SIGNALS}
    variables = {
        f'variable {key}': value
        for key, value in os.environ.items()
        if not key.startswith(OTHERS_VARIABLES)
    }
    return (
        handlers
        | variables
        | {
            'working directory': os.getcwd(),
            'threads of torch': torch.get_num_threads(),
            'default dtype': torch.get_default_dtype(),
        }
    )


def restore_process(state: dict) -> None:
    """Put back what :func:`process_state` returned."""
    for number in SIGNALS:
        signal.signal(number, state[f'handler of {number.name}'])
    variables = {
        key.removeprefix('variable '): value
        for key, value in state.items()
        if key.startswith('variable ')
    }
    for key in os.environ.keys() - variables.keys():
        if not key.startswith(OTHERS_VARIABLES):
            del os.environ[key]
    os.environ.update(variables)
    os.chdir(state['working directory'])
    torch.set_num_threads(state['threads of torch'])
    torch.set_default_dtype(state['default dtype'])

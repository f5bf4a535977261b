"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest
from helpers.tiny import write_tiny_voc
from mmengine.registry import init_default_scope

import mmseg_wsss  # noqa: F401  (registers everything)

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of tests/integration: ``-m 'not integration'`` skips them."""
    for item in items:
        if item.path.is_relative_to(ROOT / 'tests' / 'integration'):
            item.add_marker('integration')


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


@pytest.fixture(autouse=True)
def mmseg_scope() -> None:
    """Names resolve in mmseg's registries, as in any run of mmseg."""
    init_default_scope('mmseg')

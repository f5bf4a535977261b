"""What the method battery shares."""

from pathlib import Path

import pytest

from mmseg_wsss.testing.tiny import write_tiny_voc


@pytest.fixture(scope='session')
def tiny_voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small pictures; nobody writes to them."""
    return write_tiny_voc(tmp_path_factory.mktemp('tiny_voc'))

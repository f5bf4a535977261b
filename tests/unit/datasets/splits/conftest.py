"""Lists of labeled and unlabeled images."""

from pathlib import Path

import pytest


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    (tmp_path / 'labeled.txt').write_text('2007_000001\n2007_000002\n')
    (tmp_path / 'unlabeled.txt').write_text('2007_000003\n')
    return tmp_path

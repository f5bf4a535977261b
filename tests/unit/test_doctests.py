"""The examples in the docstrings of the package, module by module."""

import doctest
import importlib
import pkgutil

import pytest
import torch

import mmseg_wsss

OPTIONAL = {'triton', 'pydensecrf'}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MODULES = [
    module.name for module in pkgutil.walk_packages(mmseg_wsss.__path__, 'mmseg_wsss.')
]


@pytest.mark.parametrize('name', MODULES)
def test_examples_of(name: str, tmp_path, monkeypatch) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f'needs {error.name}')
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    failures: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in doctest.DocTestFinder().find(module, globs={**vars(module)}):
        test.globs.setdefault('torch', torch)
        runner.run(test, out=failures.append)
    assert not failures, ''.join(failures)

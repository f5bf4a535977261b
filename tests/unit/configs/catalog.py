"""The configs of the repository, each loaded once, each distinct model built once."""

import ast
import contextlib
import copy
import functools
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from helpers.torchvision_stub import stub_torchvision
from mmengine.config import Config
from mmengine.config.config import BASE_KEY
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmseg_wsss.registry import MODELS

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted(
    path
    for top in ('configs', 'projects')
    for path in ROOT.glob(f'{top}/**/*.py')
    if not {'_base_', 'comparisons', 'own_network', 'pipelines', 'templates'}
    & {path.parent.name}
    # A project names its configs as it likes.
    and not {'_base_', 'own_dataset'} & set(path.parts)
)
TEMPLATES = sorted(ROOT.glob('configs/templates/*.py'))
BASES = sorted(ROOT.glob('configs/_base_/**/*.py'))
NAME = re.compile(
    r'(?P<method>[a-z0-9.-]+)_(?P<network>[a-z0-9-]+)'
    r'_(?P<gpus>\d+)xb(?P<batch>\d+)(?:\+(?P<unlabeled>\d+))?'
    r'-(?P<iters>\d+k?)(?P<amp>-amp)?'
    r'_(?P<regime>sup|wsss|semi|mixed)-(?:(?P<split>\d+(?:-\d+)?)-)?(?P<dataset>[a-z0-9-]+)-(?P<crop>\d+)'
)


@functools.cache
def load(path: Path) -> Config:
    """Load a config; each file that several configs inherit from is read once."""
    with mock.patch.object(Config, '_file2dict', _read):
        # Not to import mmpretrain, which some machines lack, nor the projects.
        return Config.fromfile(path, import_custom_modules=False)


_read_file = Config._file2dict


def _read(filename: str, *args: Any, **options: Any) -> tuple[dict, str, dict]:
    path = Path(filename).resolve()
    if path not in _FILES:
        _FILES[path] = _read_file(filename, *args, **options)
    return copy.deepcopy(_FILES[path])


_FILES: dict[Path, tuple[dict, str, dict]] = {}


def find(name: str) -> Config:
    """Load the config of a name, in whichever folder it lies."""
    (path,) = [path for path in CONFIGS if path.stem == name]
    return load(path)


def bases(path: Path) -> list[Path]:
    """Return the configs that a config inherits from directly."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == BASE_KEY:
            value = eval(compile(ast.Expression(node.value), str(path), 'eval'))
            values = value if isinstance(value, list) else [value]
            return [(path.parent / name).resolve() for name in values]
    return []


def depth(path: Path) -> int:
    """Return the longest chain of inheritance above a config."""
    return max((1 + depth(base) for base in bases(path)), default=0)


def hook(cfg: Config, kind: str) -> dict | None:
    return next((hook for hook in cfg.custom_hooks if hook.type == kind), None)


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Make the projects importable, and a stub of torchvision where it is missing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / 'projects/own_network')
        stub_torchvision(patch)
        yield


@functools.lru_cache(4)  # many modules, which garbage collection would look at
def _built(model: str) -> nn.Module:
    init_default_scope('mmseg')
    # These read numbers off a tensor while they are built.
    needs_memory = any(name in model for name in ('AttentionMiT', 'Res2Net'))
    build = MODELS.build
    with (
        torch.device('cpu' if needs_memory else 'meta'),
        mock.patch.object(MODELS, 'build', _built_part),
    ):
        built = build(json.loads(model))
    return built.to('meta') if needs_memory else built


def _built_part(cfg: dict) -> Any:
    """Return a copy of a part, built once for all models and places."""
    key = json.dumps(cfg, sort_keys=True)
    if key not in _PARTS:
        part = MODELS.build_func(cfg, registry=MODELS)
        module = isinstance(part, nn.Module)  # a refiner is none
        _PARTS[key] = revert_sync_batchnorm(part) if module else part
    return _copied(_PARTS[key])


_PARTS: dict[str, Any] = {}


def _copied(part: Any) -> Any:
    """Copy a part with what a model may change: modules, parameters, their containers.

    A deep copy takes longer than building the part.
    """
    if not isinstance(part, nn.Module):
        return copy.copy(part)
    copies = {id(None): None}
    for module in part.modules():
        new = copies[id(module)] = copy.copy(module)
        for key, value in vars(module).items():
            if isinstance(value, (dict, list)):
                new.__dict__[key] = value.copy()
        for name, parameter in module._parameters.items():
            if parameter is not None:
                new._parameters[name] = nn.Parameter(parameter, parameter.requires_grad)
        for name, buffer in module._buffers.items():
            new._buffers[name] = None if buffer is None else buffer.detach()
    for module in part.modules():
        for name, child in module._modules.items():
            copies[id(module)]._modules[name] = copies[id(child)]
    return copies[id(part)]


def build(cfg: Config) -> nn.Module:
    """Build the model of a config without memory for its parameters."""
    with importable():
        for module in cfg.get('custom_imports', {}).get('imports', []):
            importlib.import_module(module)
        return _built(json.dumps(cfg.model.to_dict(), sort_keys=True))


def optimizer_groups(model: nn.Module, cfg: Config) -> dict[str, tuple[float, float]]:
    """Return learning rate and weight decay of each parameter that is optimized."""
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
        if parameter.requires_grad
    }

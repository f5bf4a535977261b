"""Every phase of a method has its hook, and every hook of a phase its method."""

from pathlib import Path

import pytest
from catalog import ROOT, load

from mmseg_wsss.engine.hooks.phase_hook import PhaseHook
from mmseg_wsss.models.segmentors import RCMMAM, WeakClassifier, WeakSegmentor
from mmseg_wsss.models.utils import Phase
from mmseg_wsss.registry import HOOKS, MODELS

PATHS = [p for p in sorted(ROOT.glob('configs/*/**/*.py')) if '_base_' not in p.parts]


def phases_of_class(cls: type) -> set[str]:
    names = {name for owner in cls.__mro__ for name in vars(owner)}
    return {name for name in names if isinstance(getattr(cls, name), Phase)}


def required_phases(model: dict) -> set[str]:
    """Phases that a training of the model reads."""
    cls = MODELS.get(model['type'])
    phases = phases_of_class(cls)
    losses = [model.get(name) or {} for name in ('loss_rcm', 'loss_mam')]
    if cls is RCMMAM and any(loss.get('loss_weight') == 0 for loss in losses):
        phases.discard('use_mam')  # read if both modules are on
    return phases


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_every_phase_has_its_hook(path: Path):
    cfg = load(path)
    cls = MODELS.get((cfg.get('model') or {}).get('type') or 'EncoderDecoder')
    if cls is None or not issubclass(cls, WeakClassifier | WeakSegmentor):
        pytest.skip('not a weakly supervised method')
    kinds = [HOOKS.get(hook['type']) for hook in cfg.get('custom_hooks', [])]
    given = [kind.phase for kind in kinds if issubclass(kind, PhaseHook)]
    assert len(given) == len(set(given))
    assert required_phases(cfg.model) <= set(given) <= phases_of_class(cls)

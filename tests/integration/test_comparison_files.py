"""Every run of the toy comparisons passes the checks before its first step."""

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmseg_wsss.datasets.toy.toy_voc import generate
from mmseg_wsss.pipelines.comparison import Comparison, Run, read_comparison
from mmseg_wsss.registry import MODELS

FILES = sorted((Path(__file__).parents[2] / 'configs/comparisons').glob('toy_*.py'))
RUNS = [
    pytest.param(comparison, run, id=f'{comparison.name}: {run.name}')
    for comparison in map(read_comparison, FILES)
    for run in comparison.runs.values()
]


class ReachedError(Exception):
    """The first step was reached."""


class StopHook(Hook):
    priority = 'LOWEST'

    def before_train_iter(self, *args, **kwargs):
        raise ReachedError


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('comparisons')
    generate(folder / 'data/toy_voc', size=32)
    return folder


def save_untrained(comparison: Comparison, run: Run, path: str) -> None:
    """Write a checkpoint of a start that was not trained."""
    model = MODELS.build(comparison.config(run, 0, 'runs').model)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': model.state_dict()}, path)


@pytest.mark.parametrize(('comparison', 'run'), RUNS)
def test_a_run_reaches_its_first_step(comparison, run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    cfg = comparison.config(run, 0, 'runs')
    init_default_scope('mmseg')
    if run.start is not None and not Path(cfg.load_from).exists():
        save_untrained(comparison, comparison.starts[run.start], cfg.load_from)
    cfg.log_level = 'ERROR'
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.experiment_name = f'{comparison.name} {run.name}'
    runner = Runner.from_cfg(cfg)
    runner.register_hook(StopHook())
    with pytest.raises(ReachedError):
        runner.train()

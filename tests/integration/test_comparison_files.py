"""Every run of the toy comparisons passes the checks before its first step."""

from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.datasets.toy.toy_voc import generate
from mmseg_wsss.pipelines.comparison import read_comparison

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


@pytest.mark.parametrize(('comparison', 'run'), RUNS)
def test_a_run_reaches_its_first_step(comparison, run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    cfg = comparison.config(run, 0, 'runs')
    cfg.load_from = None
    cfg.log_level = 'ERROR'
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.experiment_name = f'{comparison.name} {run.name}'
    runner = Runner.from_cfg(cfg)
    runner.register_hook(StopHook())
    with pytest.raises(ReachedError):
        runner.train()

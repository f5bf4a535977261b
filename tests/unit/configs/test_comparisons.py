"""Every run of every comparison file can be built, and the runs are comparable."""

import re

import pytest
from catalog import ROOT, build

from mmseg_wsss.pipelines.comparison import read_comparison
from mmseg_wsss.pipelines.comparison_check import check_fair, parts_of
from mmseg_wsss.registry import HOOKS

FOLDER = ROOT / 'configs/comparisons'
FILES = sorted(FOLDER.glob('*.py'))
RUNS = [
    pytest.param(comparison, run, id=f'{comparison.name}: {run.name}')
    for comparison in map(read_comparison, FILES)
    for run in (*comparison.starts.values(), *comparison.runs.values())
]


def test_the_readme_lists_every_file():
    links = re.findall(r'\]\(([\w-]+\.py)\)', (FOLDER / 'README.md').read_text())
    assert sorted(links) == [path.name for path in FILES]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_runs_are_comparable_and_all_different(path):
    comparison = read_comparison(path)
    check_fair(comparison)
    folders = {
        comparison.config(run, seed, 'runs').work_dir for run, seed in comparison.jobs()
    }
    number = len(comparison.runs) + len(comparison.starts)
    assert len(folders) == number * len(comparison.seeds)
    if comparison.name.startswith('toy'):
        assert len(comparison.seeds) == 5


@pytest.mark.parametrize(('comparison', 'run'), RUNS)
def test_every_run_can_be_built(comparison, run):
    cfg = comparison.config(run, 3, 'runs')
    model = build(cfg)
    assert cfg.randomness.seed == 3
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters
    for hook in cfg.get('custom_hooks', ()):
        HOOKS.build(hook)
    if run.sources:
        assert set(run.sources) <= set(model.pseudo_sources())
        assert cfg.export_dataloader
    for setting in run.tests.values():
        options = setting.get('cfg_options', {})
        tested = cfg.copy()
        tested.merge_from_dict(dict(options))
        build(tested)
    assert parts_of(comparison, run)['budget']['steps'] > 0

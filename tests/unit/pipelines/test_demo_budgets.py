"""The demos compare trainings of equal budgets."""

import importlib.util
import sys
import warnings
from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_wsss.pipelines.comparison import set_steps
from mmseg_wsss.pipelines.demo import shortened

TOOLS = Path(__file__).resolve().parents[3] / 'tools'
# Compared with each other: the same start, as many steps, batches of one size.
COMPARED = {
    'demo': ('asdt', 'never'),
    'demo_mkd': ('masks', 'mkd'),
    'demo_mixed': ('masks', 'both'),
}


class Results(dict):
    """Any result of a training."""

    def __missing__(self, key):
        return 0.0 if '/' in str(key) or key == 'mIoU' else Results()


@pytest.fixture
def trainings(request, monkeypatch, tmp_path):
    """Configs that a demo trains, by the name of their folder."""
    path = TOOLS / f'{request.param}.py'
    spec = importlib.util.spec_from_file_location(path.stem, path)
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    seen = {}

    def train(config, work_dir, divisor=1, options=None, *args, steps=None, **kwargs):
        cfg = Config.fromfile(config)
        cfg.merge_from_dict(deepcopy(dict(options or {})))
        if steps is not None:
            set_steps(cfg, steps)
        seen[work_dir.name] = cfg
        steps = cfg.train_cfg.max_iters
        return Results(steps=steps, checkpoint=str(work_dir / f'iter_{steps}.pth'))

    for name in ('generate', 'finish', 'draw_panel', 'draw_losses'):
        if hasattr(demo, name):
            monkeypatch.setattr(demo, name, lambda *args, **kwargs: None)
    monkeypatch.setattr(demo, 'train', train)
    monkeypatch.setattr(sys, 'argv', ['demo.py', '--out', str(tmp_path)])
    with warnings.catch_warnings():
        demo.main()
    return seen, COMPARED[request.param]


def test_no_training_is_shortened_to_nothing():
    with pytest.raises(ValueError, match='--shorten 9 leaves none of the 8'):
        shortened(Config({'train_cfg': {'max_iters': 8}}), 9)


@pytest.mark.parametrize('trainings', COMPARED, indirect=True)
def test_equal_budgets(trainings):
    configs, names = trainings
    first, second = (configs[name] for name in names)
    assert first.train_cfg.max_iters == second.train_cfg.max_iters
    assert first.param_scheduler == second.param_scheduler
    assert first.optim_wrapper == second.optim_wrapper
    assert first.load_from == second.load_from
    assert first.load_from is not None
    loaders = [cfg.train_dataloader for cfg in (first, second)]
    assert loaders[0].batch_size == loaders[1].batch_size
    assert loaders[0].get('sampler') == loaders[1].get('sampler')


@pytest.mark.parametrize('trainings', ['demo_mixed'], indirect=True)
def test_tags_alone_take_as_many_steps(trainings):
    configs, _ = trainings
    steps = {name: cfg.train_cfg.max_iters for name, cfg in configs.items()}
    assert steps['classifier'] + steps['tags'] == steps['start'] + steps['both']
    sizes = {cfg.train_dataloader.batch_size for cfg in configs.values()}
    assert sizes == {16}
    assert 'classifier' in configs['tags'].load_from

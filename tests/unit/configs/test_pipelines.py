"""Every training of the pipelines passes the start-up check of its loops."""

import re
from types import SimpleNamespace

import pytest
from catalog import ROOT
from mmengine.config import Config
from mmengine.optim.scheduler.param_scheduler import INF

from mmseg_wsss.engine.startup_check.loops import (
    check_accumulation,
    check_batch,
    check_loop,
    check_save_best,
    check_schedules,
)
from mmseg_wsss.pipelines.wsss_stages import Tools, build_stages
from mmseg_wsss.registry import DATA_SAMPLERS, HOOKS

PIPELINES = sorted(ROOT.glob('configs/pipelines/*.py'))


class Images(list):
    """Three images of each of two sources, in place of a dataset."""

    cumulative_sizes = (3, 6)


def training(cfg: Config) -> SimpleNamespace:
    """Return what the checks of loops read of a runner, without data and network."""
    loader = cfg.train_dataloader
    sampler = DATA_SAMPLERS.build(
        loader.sampler, default_args={'dataset': Images('abcdef')}
    )
    schedules = [
        SimpleNamespace(**{'param_name': 'lr', 'by_epoch': True, 'end': INF, **item})
        for item in cfg.param_scheduler
    ]
    loop = SimpleNamespace(
        dataloader=SimpleNamespace(sampler=sampler, batch_size=loader.batch_size),
        max_iters=cfg.train_cfg.max_iters,
        val_interval=cfg.train_cfg.get('val_interval', 1000),
    )
    return SimpleNamespace(
        train_loop=loop,
        val_loop=cfg.val_cfg,
        hooks=[HOOKS.build(cfg.default_hooks.checkpoint)],
        param_schedulers=schedules,
        optim_wrapper=SimpleNamespace(
            _accumulative_counts=cfg.optim_wrapper.get('accumulative_counts', 1)
        ),
    )


@pytest.mark.parametrize('path', PIPELINES, ids=lambda path: path.stem)
def test_the_loops_of_every_stage(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    stages = build_stages(Config.fromfile(path), tmp_path, Tools(ROOT, None))
    configs = [
        Config(stage.settings['config'])
        for stage in stages
        if stage.output.suffix == '.pth' and stage.settings
    ]
    assert len(configs) in (2, 3)  # without the first one if a checkpoint is given
    for cfg in configs:
        runner = training(cfg)
        problems = [
            *check_loop(runner.train_loop, runner.hooks),
            *check_batch(runner.train_loop),
            *check_accumulation(runner),
            *check_schedules(runner.param_schedulers, runner.train_loop),
            *check_save_best(runner),
        ]
        assert [str(problem) for problem in problems] == []


class TestLabelsOfTheAffinityNetwork:
    """Without them it would be trained on its own CAMs, and propagate these."""

    def build(self, name: str, options: dict, tmp_path, monkeypatch) -> None:
        monkeypatch.chdir(ROOT)
        cfg = Config.fromfile(ROOT / f'configs/pipelines/{name}.py')
        cfg.affinity.cfg_options = options
        build_stages(cfg, tmp_path, Tools(ROOT, None))

    @pytest.mark.parametrize('key', ['train_dataloader', 'export_dataloader'])
    @pytest.mark.parametrize('fault', ['none', 'soft', 'labeled'])
    def test_every_pipeline_without_masks_needs_them(
        self, key, fault, tmp_path, monkeypatch
    ):
        soft = key == 'export_dataloader'
        name, part = 'rcmmam_voc-mini', f'{key}.dataset'
        step = {'type': 'LoadPseudoLabel', 'folder': '', 'num_classes': 21}
        other = {'type': 'RandomFlip', 'prob': 0.5}
        if fault == 'labeled':
            name, part = 'mixed_voc-mini', f'{part}.unlabeled'
            of_labeled = f'{key}.dataset.labeled.pipeline.1'
        options = {
            'none': {f'{part}.pipeline.1': other},
            'soft': {f'{part}.pipeline.1.soft': not soft},
            'labeled': {f'{part}.pipeline.1': other},
        }[fault]
        if fault == 'labeled':
            options[of_labeled] = dict(step, soft=soft)
        found = f'LoadPseudoLabel(soft={not soft})' if fault == 'soft' else 'none'
        message = f'{key}: expected one LoadPseudoLabel(soft={soft}) in the pipeline of'
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            self.build(name, options, tmp_path, monkeypatch)
        assert f'found {found}; add' in str(caught.value)
        assert '\n' not in str(caught.value)

    def test_a_loader_must_be_there(self, tmp_path, monkeypatch):
        with pytest.raises(ValueError, match=r'affinitynet.*has no export_dataloader'):
            self.build(
                'rcmmam_voc-mini', {'export_dataloader': None}, tmp_path, monkeypatch
            )

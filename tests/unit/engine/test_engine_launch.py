import argparse
import logging
import os
from unittest import mock

import pytest
import torch
from mmengine.config import Config

from mmseg_wsss.engine import launch


@pytest.fixture
def no_gpu(monkeypatch):
    """A machine without a GPU where a process group can be joined by a call."""
    joined = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(launch, 'init_processes', joined.append)
    return joined


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    launch.add_arguments(parser)
    return parser.parse_args(words)


class TestLoadConfig:
    @pytest.fixture
    def config(self, tmp_path, monkeypatch):
        monkeypatch.delenv('LOCAL_RANK', raising=False)
        path = tmp_path / 'some_config.py'
        path.write_text("model = dict(type='A', depth=1)\n")
        return str(path)

    def test_work_dir_of_command_line_config_and_name(self, config, tmp_path):
        assert launch.load_config(parse(config)).work_dir == 'work_dirs/some_config'
        with open(config, 'a') as file:
            file.write("work_dir = 'from_config'\n")
        assert launch.load_config(parse(config)).work_dir == 'from_config'
        args = parse(config, '--work-dir', 'from_line')
        assert launch.load_config(args).work_dir == 'from_line'

    def test_options_go_over_the_config(self, config):
        args = parse(config, '--cfg-options', 'model.depth=3', 'model.dims=4,5')
        cfg = launch.load_config(args)
        assert cfg.model == dict(type='A', depth=3, dims=[4, 5])

    @mock.patch.dict(os.environ)
    def test_local_rank_of_old_launchers(self, config):
        os.environ.pop('LOCAL_RANK', None)
        launch.load_config(parse(config, '--local-rank', '3'))
        assert 'LOCAL_RANK' not in os.environ
        launcher = ('--launcher', 'pytorch')
        launch.load_config(parse(config, *launcher, '--local-rank', '3'))
        assert os.environ['LOCAL_RANK'] == '3'
        # torchrun's own variable wins.
        launch.load_config(parse(config, *launcher, '--local-rank', '5'))
        assert os.environ['LOCAL_RANK'] == '3'


class TestResumeLast:
    @pytest.mark.parametrize(
        ('here', 'there'), [(True, False), (True, True), (False, True)]
    )
    def test_the_last_checkpoint_goes_before_the_start_weights(
        self, tmp_path, here, there
    ):
        """One in the folder itself before that in the folder that was copied."""
        work_dir, named = tmp_path / 'b', tmp_path / 'a/iter_3.pth'
        for path, exists in ((work_dir / 'iter_3.pth', here), (named, there)):
            path.parent.mkdir()
            if exists:
                path.mkdir()  # as DeepSpeed does
        (work_dir / 'last_checkpoint').write_text(f'{named}\n')
        cfg = Config(dict(work_dir=str(work_dir), load_from='start.pth'))
        launch.resume_last(cfg)
        assert cfg.resume
        assert cfg.load_from == str(work_dir / 'iter_3.pth' if here else named)
        launch.require_checkpoint(cfg.load_from)

    @pytest.mark.parametrize('text', ['gone/iter_3.pth', ''])
    def test_a_lost_checkpoint_is_a_warning(self, tmp_path, monkeypatch, text):
        (tmp_path / 'last_checkpoint').write_text(text)
        cfg = Config(dict(work_dir=str(tmp_path), load_from='start.pth'))
        log = mock.Mock()
        monkeypatch.setattr(launch, 'print_log', log)
        launch.resume_last(cfg)
        assert not cfg.resume and cfg.load_from == 'start.pth'
        assert log.call_args.args[0].endswith('the training starts anew')

    @pytest.mark.parametrize('text', [None, 'gone/iter_30.pth'])
    def test_the_newest_checkpoint_is_found(self, tmp_path, monkeypatch, text):
        """If only the checkpoints were copied, or the named one was removed."""
        for name in ('iter_9.pth', 'best_mIoU_iter_20.pth', '.iter_11.pth.a.part'):
            (tmp_path / name).touch()
        (tmp_path / 'iter_10.pth').mkdir()  # as DeepSpeed does
        if text:
            (tmp_path / 'last_checkpoint').write_text(text)
        hook = dict(by_epoch=False)
        cfg = Config(dict(work_dir=str(tmp_path), default_hooks=dict(checkpoint=hook)))
        log = mock.Mock()
        monkeypatch.setattr(launch, 'print_log', log)
        launch.resume_last(cfg)
        assert not cfg.resume  # measure() relies on it
        launch.resume_last(cfg, search=True)
        assert cfg.resume and cfg.load_from == str(tmp_path / 'iter_10.pth')
        assert log.call_args.args[0].endswith(f'newest found, {cfg.load_from}')

    def test_names_and_folder_of_checkpoints_are_those_of_the_hook(self, tmp_path):
        out = tmp_path / 'out/run'
        out.mkdir(parents=True)
        for name in ('step_08.pth', 'step_12.pth', 'iter_99.pth'):
            (out / name).touch()
        hook = dict(filename_tmpl='step_{:02d}.pth', out_dir=str(tmp_path / 'out'))
        cfg = dict(work_dir='any/run', default_hooks=dict(checkpoint=hook))
        launch.resume_last(cfg := Config(cfg), search=True)
        assert cfg.load_from == str(out / 'step_12.pth')

    def test_checkpoints_without_a_number_are_refused(self, tmp_path):
        (tmp_path / 'final.pth').touch()
        cfg = Config(dict(work_dir=str(tmp_path)))
        with pytest.raises(FileNotFoundError, match=r'last_checkpoint.*final\.pth'):
            launch.resume_last(cfg, search=True)

    def test_a_run_that_has_not_begun_begins(self, tmp_path):
        (tmp_path / 'best_mIoU_iter_20.pth').touch()  # cannot be resumed
        cfg = Config(dict(work_dir=str(tmp_path), load_from='start.pth'))
        launch.resume_last(cfg, search=True)
        assert not cfg.resume and cfg.load_from == 'start.pth'


class TestPrepare:
    def test_one_process_is_left_alone(self, no_gpu):
        cfg = Config(dict(model=dict(norm_cfg=dict(type='SyncBN')), launcher='none'))
        before = cfg.to_dict()
        launch.prepare(cfg)
        assert cfg.to_dict() == before
        assert no_gpu == []

    def test_gpus_are_left_to_mmengine(self, monkeypatch, no_gpu):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        cfg = Config(dict(model=dict(norm_cfg=dict(type='SyncBN')), launcher='slurm'))
        before = cfg.to_dict()
        launch.prepare(cfg)
        assert cfg.to_dict() == before
        assert no_gpu == []

    def test_ddp_without_device_ids(self, no_gpu):
        cfg = Config(dict(model={}, launcher='pytorch', find_unused_parameters=True))
        launch.prepare(cfg)
        assert no_gpu == ['pytorch']
        assert cfg.model_wrapper_cfg == dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=True,
        )

    def test_own_wrapper_is_kept(self, no_gpu):
        wrapper = dict(type='MMFullyShardedDataParallel', use_orig_params=True)
        cfg = Config(dict(model={}, launcher='pytorch', model_wrapper_cfg=wrapper))
        launch.prepare(cfg)
        assert cfg.model_wrapper_cfg == wrapper
        cfg.model_wrapper_cfg = dict(static_graph=True)
        launch.prepare(cfg)
        assert cfg.model_wrapper_cfg == dict(
            static_graph=True, type='MMDistributedDataParallel', device_ids=None
        )

    def test_flexible_runner(self, no_gpu):
        cfg = Config(dict(model={}, launcher='pytorch', runner_type='FlexibleRunner'))
        launch.prepare(cfg)
        assert cfg.strategy.type == 'DDPStrategy'
        assert cfg.strategy.model_wrapper.device_ids is None
        cfg.strategy = dict(type='DeepSpeedStrategy')
        launch.prepare(cfg)
        assert cfg.strategy == dict(type='DeepSpeedStrategy')

    def test_sync_bn_becomes_bn_everywhere(self, no_gpu):
        heads = [dict(norm_cfg=dict(type='SyncBN', eps=0.1)), dict(type='MMSyncBN')]
        model = dict(backbone=dict(norm_cfg=dict(type='GN')), heads=heads)
        cfg = Config(dict(model=model, launcher='pytorch'))
        launch.prepare(cfg)
        assert cfg.model == dict(
            backbone=dict(norm_cfg=dict(type='GN')),
            heads=[dict(norm_cfg=dict(type='BN', eps=0.1)), dict(type='BN')],
        )

    def test_other_launchers_need_a_gpu(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        cfg = Config(dict(model={}, launcher='slurm'))
        with pytest.raises(ValueError, match='slurm'):
            launch.prepare(cfg)


class TestAmp:
    def test_wrapper_is_switched(self):
        cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', clip_grad=None)))
        for _ in range(2):
            launch.enable_amp(cfg)
            assert cfg.optim_wrapper == dict(
                type='AmpOptimWrapper', clip_grad=None, loss_scale='dynamic'
            )

    def test_unknown_wrapper(self):
        cfg = Config(dict(optim_wrapper=dict(type='ApexOptimWrapper')))
        with pytest.raises(ValueError, match="found 'ApexOptimWrapper'"):
            launch.enable_amp(cfg)


class TestRequireCheckpoint:
    def test_urls_existing_files_and_none(self, tmp_path):
        (tmp_path / 'a.pth').touch()
        for path in (None, tmp_path / 'a.pth', 'https://a.b/c.pth', 'mmcls://x'):
            launch.require_checkpoint(path)

    def test_the_command_that_trains_it_is_named(self):
        path = 'work_dirs/cam_r18_1xb16-400_wsss-toy-voc-128/iter_400.pth'
        command = r'train.py \S*configs/cam/cam_r18_1xb16-400_wsss-toy-voc-128\.py'
        with pytest.raises(FileNotFoundError, match=command):
            launch.require_checkpoint(path)

    def test_unknown_folders(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'no such checkpoint$'):
            launch.require_checkpoint(tmp_path / 'own/last.pth')


@pytest.mark.parametrize(('level', 'count'), [('INFO', 1), ('DEBUG', 2)])
def test_noise_is_logged_at_debug_only(monkeypatch, level, count):
    logger = logging.getLogger(f'build_runner_{level}')
    logger.setLevel(level)
    runner = mock.Mock(logger=logger)
    monkeypatch.setattr(launch.Runner, 'from_cfg', lambda cfg: runner)
    seen = []
    handler = logging.Handler()
    handler.emit = seen.append
    logger.addHandler(handler)
    launch.build_runner(Config(dict(log_level=level)))
    logger.info('paramwise_options -- backbone.bias:lr=0.1')
    logger.info('start')
    assert len(seen) == count


def test_the_log_level_of_the_command_line(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text("log_level = 'INFO'\n")
    assert launch.load_config(parse(str(path))).log_level == 'INFO'
    args = parse(str(path), '--log-level', 'DEBUG')
    assert launch.load_config(args).log_level == 'DEBUG'

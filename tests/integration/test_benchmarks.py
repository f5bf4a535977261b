"""Benchmarks still fit the configs that they measure."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction

from mmseg_wsss.pipelines.wsss_stages import stage_config

BENCHMARKS = Path(__file__).resolve().parents[2] / 'benchmarks'


def test_mkd_step(tmp_path):
    out = tmp_path / 'result.json'
    small = ['--size', '65', '--batch', '2', '--repeats', '1', '--threads', '1']
    script = BENCHMARKS / 'mkd_step.py'
    subprocess.run([sys.executable, script, *small, '--out', out], check=True)
    assert json.loads(out.read_text())['times_faster']['cpu'] > 0


def test_loader(tmp_path):
    out = tmp_path / 'result.json'
    small = ['--only', 'cps/cps_r50_1x', '--images', '4', '--repeats', '1']
    script = BENCHMARKS / 'loader.py'
    subprocess.run([sys.executable, script, *small, '--out', out], check=True)
    (row,) = json.loads(out.read_text())['results'].values()
    inside = sum(row['transforms'].values())
    assert 0 < inside <= row['milliseconds']
    assert {'LoadImageStrict', 'unsup_weak/PackWeakInputs'} <= row['transforms'].keys()
    # Two networks on all images: at least six passes of 10^11 operations.
    assert row['tflop_per_image'] > 0.6


def test_every_cell_of_the_cost_curve_is_what_it_says(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.chdir(BENCHMARKS.parent)
    import cost_curve

    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    for masks, split in cost_curve.SPLITS.items():
        words = cost_curve.command((masks, True, 2))
        options = parser.parse_known_args(words)[0].cfg_options
        cfg = Config.fromfile(words[1])
        cfg.merge_from_dict(options)
        for part in ('seeds', 'affinity'):
            stage = stage_config(cfg, part)
            assert stage.randomness.seed == 2
            for loader in (stage.train_dataloader, stage.export_dataloader):
                assert loader.dataset.split.endswith(split)
        stage = stage_config(cfg, 'seeds')
        assert stage.load_from.endswith('classifier-seed2/iter_350.pth')
        assert stage.test_dataloader.dataset.ann_file.endswith(f'{split}/unlabeled.txt')

        words = cost_curve.command((masks, False, 2))
        options = parser.parse_known_args(words)[0].cfg_options
        listed = options['train_dataloader.dataset.ann_file']
        assert listed.endswith(f'{split}/labeled.txt')
        assert options['randomness.seed'] == 2


def test_a_cost_curve_without_any_cell_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import cost_curve

    for name in ('RESULT', 'PLOT', 'WORK'):
        monkeypatch.setattr(cost_curve, name, tmp_path / name)
    monkeypatch.setattr(sys, 'argv', ['cost_curve.py', '--jobs', '0'])
    with pytest.raises(SystemExit, match='no cell is finished'):
        cost_curve.main()
    assert not list(tmp_path.iterdir())


def test_an_error_of_a_kernel_leaves_no_device_behind(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import emulated_cuda

    with pytest.raises(KeyError), emulated_cuda._device_of(None):
        raise KeyError
    assert emulated_cuda._guards == []


def test_saved_cells_of_the_cost_curve_count_as_finished(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import cost_curve

    monkeypatch.setattr(cost_curve, 'RESULT', tmp_path / 'cost_curve.json')
    assert cost_curve.saved_scores() == ({}, [])
    network = cost_curve.NETWORK
    finished = {
        (0, True, 1): {network: 30.0},
        (25, False, 0): {network: 20.0},
        (25, True, 0): {network: 31.0, 'pseudo-masks': 40.0},
        (25, True, 1): {network: 33.0, 'pseudo-masks': 41.0},
    }
    result = cost_curve.summarize(finished, ['a CPU'])
    assert result['mIoU']['25']['tags']['mean'] == 32.0
    assert result['mIoU']['0'].keys() == {'tags'}
    cost_curve.RESULT.write_text(json.dumps(result))
    assert cost_curve.saved_scores() == (finished, ['a CPU'])

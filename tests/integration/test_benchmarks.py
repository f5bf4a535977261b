"""Benchmarks still fit the configs that they measure."""

import json
import subprocess
import sys
from pathlib import Path

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

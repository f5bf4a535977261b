"""A benchmark still fits the config that it measures."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks/mkd_step.py'


def test_mkd_step(tmp_path):
    out = tmp_path / 'result.json'
    small = ['--size', '65', '--batch', '2', '--repeats', '1', '--threads', '1']
    subprocess.run([sys.executable, SCRIPT, *small, '--out', out], check=True)
    assert json.loads(out.read_text())['times_faster']['cpu'] > 0

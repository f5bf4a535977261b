"""The Triton kernels compile for GPUs, and fit in their registers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / 'helpers' / 'compile_kernels.py'


@pytest.mark.extras
def test_kernels_compile_without_a_gpu(tmp_path):
    pytest.importorskip('triton', reason='Triton is not installed (make env-triton)')
    env = {k: v for k, v in os.environ.items() if k != 'TRITON_INTERPRET'}
    env |= {'TRITON_CACHE_DIR': str(tmp_path)}
    out = subprocess.check_output([sys.executable, SCRIPT], text=True, env=env)
    rows = [json.loads(line) for line in out.splitlines() if line.startswith('{')]
    assert {row['kernel'] for row in rows} == {'_sum', '_weigh', '_step'}
    assert not [row for row in rows if row['stack']]

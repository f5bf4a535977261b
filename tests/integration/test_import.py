"""Importing the package registers classes and changes nothing else."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Prints what the import changed, one line each.
CODE = """
import importlib, logging, os, random, signal, sys, threading, warnings
import matplotlib, numpy, rich.progress, torch
import torch._dynamo  # torch.compiler.disable imports it
import mmcv, mmengine.runner, mmengine.visualization, mmseg
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader
for part in ('models', 'datasets', 'engine', 'evaluation', 'visualization'):
    importlib.import_module(f'mmseg.{part}')

def state():
    loggers = {'': logging.root, **logging.Logger.manager.loggerDict}
    return {
        'loaders': list(CheckpointLoader._schemes.items()),
        'torch.load': torch.load,
        'safe globals': set(getattr(torch.serialization, 'get_safe_globals', list)()),
        'random': random.getstate(),
        'numpy': repr(numpy.random.get_state()),
        'torch': torch.get_rng_state().tolist(),
        'deterministic': torch.are_deterministic_algorithms_enabled(),
        'benchmark': torch.backends.cudnn.benchmark,
        'threads of torch': torch.get_num_threads(),
        'default dtype': torch.get_default_dtype(),
        'logging': {
            name: (list(logger.handlers), logger.level)
            for name, logger in loggers.items()
            if isinstance(logger, logging.Logger)
            and (logger.handlers or logger.level)
        },
        'warnings': list(warnings.filters),
        'environment': dict(os.environ),
        'directory': os.getcwd(),
        'path': list(sys.path),
        'signals': {s: signal.getsignal(s) for s in signal.valid_signals()},
        'exception hook': sys.excepthook,
        'threads': threading.active_count(),
        'scope': DefaultScope.get_current_instance(),
        'matplotlib': dict(matplotlib.rcParams),
    }

before = state()
import mmseg_wsss
after = state()
for key, value in before.items():
    if after[key] != value:
        print(f'{key} was {str(value)[:300]}, is {str(after[key])[:300]}')
"""


def test_the_import_changes_nothing_of_its_host():
    done = subprocess.run(
        [sys.executable, '-c', CODE],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    # The OneDL fork of mmseg prints this when it is imported.
    changed = [line for line in lines if line != 'Could not import OneDL']
    assert not changed, '\n'.join(changed)

"""Arguments and files for the tests of tools."""

import importlib.util
import runpy
import sys
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tool_in_process(command, log, lock):
    """Run a tool without starting Python anew."""
    argv = command[command.index(next(w for w in command if w.endswith('.py'))) :]
    with mock.patch.object(sys, 'argv', argv):
        runpy.run_path(argv[0], run_name='__main__')


def run_pipeline(config: Path, work_dir: Path) -> None:
    """Run tools/wsss_pipeline.py, with all of its commands, in this process."""
    argv = ['wsss_pipeline.py', str(config), '--work-dir', str(work_dir)]
    tool = Path(__file__).resolve().parents[3] / 'tools/wsss_pipeline.py'
    with (
        mock.patch('mmseg_wsss.pipelines.wsss_stages.call', tool_in_process),
        mock.patch.object(sys, 'argv', argv),
    ):
        runpy.run_path(str(tool), run_name='__main__')


def words(*values):
    return [str(value) for value in values]


def save_png(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(labels, dtype=np.uint8)).save(path)


def write_list(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{name}\n' for name in names))

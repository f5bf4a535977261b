"""Arguments and files for the tests of tools."""

import importlib.util
import re
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


def status(main, *args):
    """Run a function of a tool and return its exit status."""
    try:
        return main(*args)
    except SystemExit as error:
        return error.code


def words(*values):
    return [str(value) for value in values]


def save_png(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(labels, dtype=np.uint8)).save(path)


def write_list(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{name}\n' for name in names))


SMALL = {  # schedules of seconds, of templates
    r'max_iters = \d+': 'max_iters = 2',
    r'batch_size = 8': 'batch_size = 4',
    r'crop_size = \(225, 225\)': 'crop_size = (33, 33)',
    r'\((500|321), \1\)': '(64, 64)',
    r'num_workers=2': 'num_workers=0',
    r'persistent_workers=True': 'persistent_workers=False',
    r"backbone=dict\(init_cfg=dict\(checkpoint='mmcls://mobilenet_v2'\)\)": (
        'backbone=dict(init_cfg=None)'
    ),
}


def shorten(folder: Path, *names: str) -> None:
    """Shorten templates, and datasets, of a copy of the configs."""
    for name in names:
        path = folder / f'configs/{name}.py'
        text = path.read_text()
        for old, new in SMALL.items():
            text = re.sub(old, new, text)
        path.write_text(text)


def edit(folder: Path, name: str, key: str, value: object) -> None:
    """Set a value at the top of a template in a copy of the configs."""
    path = folder / f'configs/{name}.py'
    line = f'{key} = {value!r}  '
    text, count = re.subn(rf'^{key} = [^#\n]*', line, path.read_text(), flags=re.M)
    assert count == 1, key
    path.write_text(text)

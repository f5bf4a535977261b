"""Small comparisons for tests, and runs of them in this process."""

from pathlib import Path

import torch

from mmseg_wsss.pipelines import compare_run
from mmseg_wsss.pipelines.comparison import read_comparison

from .tiny import tiny_config

FILE = """
baseline = 'plain'
seeds = (0,)
sources = ('cam',)
tests = {'single scale': {}}
starts = dict(classifier=dict(config='cam.py'))
runs = {
    'plain': dict(config='rrm.py', start='classifier'),
    'other': dict(config='rrm.py', start='classifier', cfg_options=OPTIONS),
}
"""
ALONE = """
baseline = 'alone'
max_iters = 4
sources = ('cam',)
runs = {'alone': dict(config='cam.py')}
"""
FASTER = "{'optim_wrapper.optimizer.lr': 0.01}"
BROKEN = "{'model.alphas': (0, 1)}"


def write_configs(data_root: Path, folder: Path) -> Path:
    """Write two configs of two steps and return their folder."""
    for name, method in (('cam', 'CAM'), ('rrm', 'RRM')):
        cfg = tiny_config(method, data_root, folder / 'unused', 2)
        cfg.export_dataloader = cfg.test_dataloader
        cfg.dump(folder / f'{name}.py')
    return folder


def write(folder: Path, options: str = FASTER) -> Path:
    """Write a comparison of a start and two runs, with options of the second."""
    path = folder / 'comparison.py'
    path.write_text(FILE.replace('OPTIONS', options))
    return path


def do(path: Path, name: str, root: str | None = None) -> dict:
    """Do a run in this process."""
    comparison = read_comparison(path)
    run = {**comparison.runs, **comparison.starts}[name]
    root = root or str(path.parent / 'out/runs')
    return compare_run.do_run(comparison, run, 0, root)


def finished(path: Path, name: str, root: str) -> dict | None:
    """Return the result of a run, if it is finished."""
    comparison = read_comparison(path)
    return compare_run.finished(comparison, comparison.runs[name], 0, root)


def weights(run: dict) -> dict[str, torch.Tensor]:
    """Return the weights at the end of a run."""
    path = Path(run['folder'], f'iter_{run["steps"]}.pth')
    return torch.load(path, weights_only=False)['state_dict']

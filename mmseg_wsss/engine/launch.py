"""Build a Runner from a command line, for the training and testing tools."""

import argparse
import logging
import os
import re
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.config.config import ConfigParsingError
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmseg_wsss.datasets.start_checks import check_list
from mmseg_wsss.registry import RUNNERS
from mmseg_wsss.utils.configs import config_path, walk_dicts
from mmseg_wsss.utils.launch import init_processes

# Errors of torch and MMEngine to report in one line, in addition to those that
# one_line_errors knows.
TRAINING_ERRORS = (torch.cuda.OutOfMemoryError, ConfigParsingError)
LOG_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR')
LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
NOISE = ('paramwise_options',)
DDP_TYPES = ('MMDistributedDataParallel', 'DistributedDataParallel')
SYNC_BN = ('SyncBN', 'MMSyncBN')


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of :func:`read_config`."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config: KEY=VALUE, a list as KEY="[a,b]" or '
        'KEY=a,b, nested as KEY="[(a,b),(c,d)]", without spaces',
    )
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='how processes are launched; none: a single process',
    )
    # Older launchers pass the rank as an argument, torchrun as LOCAL_RANK.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that mmseg's own train and test tools have in common."""
    add_config_arguments(parser)
    parser.add_argument(
        '--work-dir',
        help='folder of logs, checkpoints and results; '
        'default: work_dir of the config, else work_dirs/NAME_OF_CONFIG',
    )
    parser.add_argument(
        '--log-level',
        choices=LOG_LEVELS,
        help='default: log_level of the config; DEBUG also logs the optimizer settings '
        'of each parameter',
    )


def read_config(args: argparse.Namespace) -> Config:
    """Read the config of a command line and apply ``--cfg-options``."""
    if args.launcher != 'none':
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    return cfg


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a command line and apply the options of :func:`add_arguments`.

    The work folder is ``--work-dir``, else ``work_dir`` of the config, else
    ``work_dirs/NAME_OF_CONFIG``.
    """
    cfg = read_config(args)
    cfg.launcher = args.launcher
    if args.log_level is not None:
        cfg.log_level = args.log_level
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    return cfg


def check_inputs(cfg: Config, *splits: str) -> None:
    """Check what mmseg and MMEngine would otherwise only assert.

    Args:
        cfg: Config of a run.
        *splits: Data sets that the run loads: ``'train'``, ``'val'``, ``'test'``.

    Raises:
        FileNotFoundError: If the image list of a data set does not exist.
        ValueError: If a list is empty, or if training with ``AmpOptimWrapper`` has no
            GPU.
    """
    for split in splits:
        check_list((cfg.get(f'{split}_dataloader') or {}).get('dataset', {}))
    amp = (cfg.get('optim_wrapper') or {}).get('type') == 'AmpOptimWrapper'
    if 'train' in splits and amp and get_device() in ('cpu', 'mps'):
        raise ValueError(
            "optim_wrapper.type='AmpOptimWrapper', mixed precision, needs a GPU, found "
            f'the device {get_device()!r}; leave out --amp, or train a config without '
            '-amp in its name'
        )


def prepare(cfg: Config) -> None:
    """Prepare a config for several processes on a machine without a GPU.

    With one process, or with a GPU, this does nothing. Otherwise it starts a gloo
    process group, since MMEngine would request a CUDA device, and changes ``cfg``: the
    model wrapper gets no device ids, and SyncBN, which needs GPUs, becomes BN.

    Raises:
        ValueError: If there is no GPU and the launcher is not torchrun.
    """
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    init_processes(cfg.launcher)
    if 'strategy' in cfg or cfg.get('runner_type') == 'FlexibleRunner':
        _wrap_in_strategy(cfg)
    else:
        wrapper = cfg.get('model_wrapper_cfg') or dict(
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
        cfg.model_wrapper_cfg = _without_devices(wrapper)
    count = _replace_sync_bn(cfg.model)
    if count:
        print_log(f'no GPU: {count} SyncBN in the config became BN', logger='current')


def build_runner(cfg: Config) -> Any:
    """Build the Runner of a config, or an instance of its ``runner_type``.

    Unless ``log_level`` is ``'DEBUG'``, the log omits the optimizer settings of each
    parameter, which are hundreds of lines.

    Raises:
        FileNotFoundError: If ``load_from`` does not exist; see
            :func:`require_checkpoint`.
        ValueError: If there is no GPU and the launcher is not torchrun.
    """
    require_checkpoint(cfg.get('load_from'))
    prepare(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if cfg.get('log_level') != 'DEBUG':
        runner.logger.addFilter(_is_no_noise)
    return runner


def require_checkpoint(path: str | os.PathLike | None) -> None:
    """Check that a checkpoint exists, unless it is a URL.

    Args:
        path: File, or a folder as DeepSpeed writes it; None passes.

    Raises:
        FileNotFoundError: If it does not exist. If its folder has the name of a config
            of this package, the message gives the command that trains the checkpoint.
    """
    if path is None or '://' in str(path) or Path(path).expanduser().exists():
        return
    stem = Path(path).absolute().parent.name
    configs = sorted(Path(config_path('.')).rglob(f'{stem}.py'))
    raise FileNotFoundError(
        f'{path}: no such checkpoint'
        + (f'; train it: python tools/train.py {_short(configs[0])}' if configs else '')
    )


def _short(path: Path) -> str:
    return str(
        path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    )


def _is_no_noise(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(NOISE)


def resume_last(cfg: Config, search: bool = False) -> None:
    """Set a config to resume from the last checkpoint in its work folder, if any.

    The folder may have been renamed or copied, so a checkpoint in it takes precedence
    over the path in ``last_checkpoint``. If neither exists, the training starts anew.
    Setting ``resume`` alone would make MMEngine resume from ``load_from``, the initial
    weights, if the config has it.

    Args:
        cfg: Config of a training.
        search: Whether to resume from the checkpoint with the highest number in its
            name, if there is one, before starting anew.

    Raises:
        FileNotFoundError: If the search finds checkpoints, but none with a number.
    """
    note = Path(cfg.work_dir, 'last_checkpoint')
    cfg.resume = False
    named = Path(note.read_text().strip()) if note.is_file() else Path()
    for path in (Path(cfg.work_dir, named.name), named) if named.name else ():
        if path.exists():
            cfg.resume, cfg.load_from = True, str(path)
            return
    found = _newest_checkpoint(cfg, note) if search else None
    if found is not None:
        cfg.resume, cfg.load_from = True, str(found)
        text = f'{note} leads to no checkpoint; resuming from the newest found, {found}'
    elif note.is_file():
        text = f'{note}: no checkpoint {named}; the training starts anew'
    else:
        return
    print_log(text, logger='current', level=logging.WARNING)


def _newest_checkpoint(cfg: Config, note: Path) -> Path | None:
    """Return the checkpoint with the highest number in its name; None without any."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    folder = note.parent
    if hook.get('out_dir'):
        folder = Path(hook['out_dir'], folder.name)  # as in MMEngine
    kind = 'epoch' if hook.get('by_epoch', True) else 'iter'
    template = hook.get('filename_tmpl') or f'{kind}_{{}}.pth'
    parts = re.split(r'\{.*?\}', template)
    pattern = re.compile(r'(\d+)'.join(map(re.escape, parts)))
    matches = [pattern.fullmatch(path.name) for path in sorted(folder.glob('*'))]
    found = {int(match[1]): match[0] for match in matches if match}
    if found:
        return folder / found[max(found)]
    # The best checkpoints lack the state of the optimizer.
    paths = [path for path in note.parent.glob('*.pth') if path.name[:5] != 'best_']
    if paths:
        names = ', '.join(sorted(path.name for path in paths))
        raise FileNotFoundError(
            f'{note}: expected the path of the checkpoint to resume from, since none '
            f'in {folder} is named {template} (found: {names}); write it to this file, '
            'or start anew with another --work-dir'
        )
    return None


def enable_amp(cfg: Config) -> None:
    """Switch a config's optimizer wrapper to automatic mixed precision.

    Raises:
        ValueError: If the wrapper has no mixed-precision variant.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind == 'AmpOptimWrapper':
        print_log('the config already uses mixed precision', logger='current')
        return
    if kind != 'OptimWrapper':
        raise ValueError(
            f"--amp expects optim_wrapper.type 'OptimWrapper', found {kind!r}"
        )
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def _wrap_in_strategy(cfg: Config) -> None:
    strategy = cfg.get('strategy') or dict(type='DDPStrategy')
    if strategy['type'] == 'DDPStrategy':
        wrapper = strategy.get('model_wrapper') or dict(broadcast_buffers=False)
        strategy['model_wrapper'] = _without_devices(wrapper)
    cfg.strategy = strategy


def _without_devices(wrapper: dict) -> dict:
    wrapper.setdefault('type', DDP_TYPES[0])
    if wrapper['type'] in DDP_TYPES:
        wrapper['device_ids'] = None
    return wrapper


def _replace_sync_bn(node: Any) -> int:
    """Replace every SyncBN in a config by BN, in place, and return their number."""
    found = [part for part in walk_dicts(node) if part.get('type') in SYNC_BN]
    for part in found:
        part['type'] = 'BN'
    return len(found)

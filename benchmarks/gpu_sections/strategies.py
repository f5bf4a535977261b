"""The strategies that docs/tutorials/several_gpus.md names, with one rank."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from helpers.tiny import tiny_config, write_tiny_voc
from helpers.training import unformatted_configs

from mmseg_wsss.engine.startup_check import StartupError

from .measuring import Setting
from .runner import finite, one_rank, run

SHARE = 6
ZERO = {'type': 'DeepSpeedStrategy', 'gradient_clipping': 1.0}
# Settings over those of a training, by strategy.
PLAIN = {
    'SingleDeviceStrategy': {'strategy': {'type': 'SingleDeviceStrategy'}},
    'DDPStrategy': {'strategy': {'type': 'DDPStrategy'}},
}
GPU_ONLY = {
    **{
        f'DeepSpeedStrategy, ZeRO stage {stage}': {
            'strategy': ZERO | {'zero_optimization': {'stage': stage}},
            'optim_wrapper': {
                'type': 'DeepSpeedOptimWrapper',
                'optimizer': {'type': 'AdamW', 'lr': 1e-3},
            },
        }
        for stage in (0, 1, 2, 3)
    },
    'FSDPStrategy': {'strategy': {'type': 'FSDPStrategy'}},
}
REFUSED = ('DeepSpeedStrategy, ZeRO stage 3', 'FSDPStrategy')
# The page states that these were not run: a row only records what they did.
NOT_CLAIMED = tuple(GPU_ONLY)


def rows(setting: Setting) -> Iterator[dict]:
    one_rank()
    strategies = PLAIN | (GPU_ONLY if setting.gpu else {})
    with unformatted_configs():
        data = write_tiny_voc(Path('voc').absolute())
        for number, (strategy, settings) in enumerate(strategies.items()):
            for method in ('CAM', 'MeanTeacherSegmentor'):
                work = Path(f'{method}_{number}').absolute()
                yield row_of(strategy, settings, method, data, work)


def row_of(strategy: str, settings: dict, method: str, data: Path, work: Path) -> dict:
    """Train two iterations, or be refused."""
    row = {'what': f'{strategy}, {method}', 'strategy': strategy, 'method': method}
    if 'DeepSpeed' in strategy and not importlib.util.find_spec('deepspeed'):
        return row | {'ok': True, 'result': 'not run: DeepSpeed is not installed'}
    refused = strategy in REFUSED and method != 'CAM'
    cfg = tiny_config(method, data, work, 2, **settings)
    try:
        trained = finite(run(cfg, 2))
        result = 'trained' if trained else 'not finite'
        ok = trained and not refused
    except StartupError as error:
        result, ok = f'refused: {str(error)[:200]}', refused
    except Exception as error:
        result, ok = repr(error)[:300], strategy in NOT_CLAIMED and not refused
    return row | {'ok': ok, 'result': result}

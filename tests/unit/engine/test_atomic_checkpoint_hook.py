"""AtomicCheckpointHook: which files there are at any time."""

from pathlib import Path
from unittest import mock

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS


class Line(BaseModel):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs: torch.Tensor, mode: str) -> object:
        return {'loss': self.weight.sum()} if mode == 'loss' else [{}]


class Score(BaseMetric):
    """Gives the scores that it was told, one after the other."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = iter(scores)

    def process(self, data_batch: object, data_samples: object) -> None:
        self.results.append(None)

    def compute_metrics(self, results: list) -> dict[str, float]:
        return {'score': next(self.scores)}


def train(work_dir: Path, hook: str = 'AtomicCheckpointHook', **settings: int) -> None:
    """Save and validate after each of four iterations; scores 1, 3, 2, 4."""
    sample = {'inputs': torch.ones(1)}
    loader = torch.utils.data.DataLoader([sample] * 4)  # a new pass takes 2 seconds
    checkpoint = {'type': hook, 'interval': 1, 'by_epoch': False} | settings
    Runner(
        Line(),
        str(work_dir),
        train_dataloader=loader,
        train_cfg={'by_epoch': False, 'max_iters': 4, 'val_interval': 1},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        val_dataloader=torch.utils.data.DataLoader([sample]),
        val_evaluator=[Score([1, 3, 2, 4])],
        val_cfg={},
        default_hooks={'checkpoint': checkpoint},
        log_processor={'by_epoch': False},
        log_level='ERROR',
        default_scope='mmseg',
        # MMEngine keeps what it knows of the best score under this name.
        experiment_name='_'.join(work_dir.parts[1:]),
    ).train()


def names(folder: Path) -> list[str]:
    """Checkpoints and notes of them; MMEngine names its copy of the config by time."""
    files = (path.name for path in folder.iterdir() if path.is_file())
    return sorted(name for name in files if not name.endswith('.py'))


def test_it_takes_the_place_of_the_stock_hook():
    assert issubclass(HOOKS.get('AtomicCheckpointHook'), CheckpointHook)


@pytest.mark.parametrize(
    'settings',
    [
        {},
        {'max_keep_ckpts': 2},
        {'max_keep_ckpts': 1, 'save_best': 'score', 'rule': 'greater'},
        {'interval': 3, 'save_best': 'score', 'rule': 'less'},
    ],
)
def test_it_leaves_the_files_that_mmengine_leaves(tmp_path, settings):
    train(tmp_path / 'ours', **settings)
    train(tmp_path / 'stock', 'CheckpointHook', **settings)
    assert names(tmp_path / 'ours') == names(tmp_path / 'stock')
    notes = [
        Path((tmp_path / folder / 'last_checkpoint').read_text()).name
        for folder in ('ours', 'stock')
    ]
    assert notes[0] == notes[1]


@pytest.mark.parametrize('hook', ['AtomicCheckpointHook', 'CheckpointHook'])
@pytest.mark.parametrize('number', range(1, 9))
def test_a_full_disk_costs_no_good_checkpoint(tmp_path, hook, number):
    """The stock hook is here to show that the test can fail."""
    put, calls = LocalBackend.put, []

    def fail(self, content, path):
        calls.append(path)
        put(self, content[: len(content) // 2], path)
        if len(calls) == number:
            raise OSError('no space left')
        put(self, content, path)

    settings = {'max_keep_ckpts': 1, 'save_best': 'score', 'rule': 'greater'}
    with (
        mock.patch.object(LocalBackend, 'put', fail),
        pytest.raises(OSError, match='no space'),
    ):
        train(tmp_path / 'run', hook, **settings)
    sound = {'last': 0, 'best': 0}
    for path in (tmp_path / 'run').glob('*.pth'):
        try:
            torch.load(path, weights_only=False)
        except RuntimeError:
            assert hook == 'CheckpointHook', f'{path} is half a checkpoint'
            continue
        sound['best' if path.name.startswith('best') else 'last'] += 1
    if hook == 'AtomicCheckpointHook':
        assert sound['last'] == (number > 1)
        # One that another has just replaced may still be there.
        assert (sound['best'] > 0) == (number > 2)
        note = tmp_path / 'run' / 'last_checkpoint'
        assert note.exists() == (number > 1)
        assert not note.exists() or Path(note.read_text()).is_file()
    elif number == 4:
        assert sound['last'] == 0

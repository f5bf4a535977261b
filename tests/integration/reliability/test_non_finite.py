"""A training stops at what is not finite, and keeps its last good checkpoint."""

import math
import re

import pytest
import torch
from helpers.methods import METHODS
from helpers.tiny import tiny_config
from helpers.training import train
from mmengine.hooks import Hook


class Spoil(Hook):
    """Makes the fourth iteration go wrong, before or after its step.

    Args:
        what: ``'weights'``, before the step; ``'saved weights'`` or ``'optimizer'``,
            after its losses were looked at.
    """

    def __init__(self, what: str) -> None:
        self.what = what

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == 3 and self.what == 'weights':
            self.spoil(first_of_heads(runner.model))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter != 3:
            return
        parameter = first_of_heads(runner.model)
        if self.what == 'saved weights':
            self.spoil(parameter)
        if self.what == 'optimizer':
            state = runner.optim_wrapper.optimizer.state[parameter]
            self.spoil(state['exp_avg'], math.inf)

    @staticmethod
    def spoil(tensor: torch.Tensor, value: float = math.nan) -> None:
        with torch.no_grad():
            tensor.view(-1)[0] = value


def first_of_heads(model: torch.nn.Module) -> torch.nn.Parameter:
    """A trained parameter of a head, so that batch statistics stay finite."""
    return next(p for name, p in model.named_parameters() if '_head' in name)


@pytest.mark.parametrize(
    ('method', 'what'),
    [
        *((method, 'weights') for method in METHODS),
        ('CAM', 'saved weights'),
        ('CAM', 'optimizer'),
    ],
)
def test_nothing_that_is_not_finite_is_saved(method, what, tiny_voc, tmp_path):
    cfg = tiny_config(method, tiny_voc, tmp_path)
    with pytest.raises(FloatingPointError) as error:
        train(cfg, Spoil(what))
    message = str(error.value)
    assert 'iteration 3' in message
    if what == 'weights':
        assert re.search(r'loss_\w+ = nan', message)
        assert message.count(str(tiny_voc / 'JPEGImages')) >= 2
    else:
        assert 'no checkpoint was written' in message
        assert (re.search(r'state_dict\.\w+_head', message) is not None) == (
            what == 'saved weights'
        )
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_2.pth']
    saved = torch.load(tmp_path / 'iter_2.pth', weights_only=False)
    assert all(v.isfinite().all() for v in saved['state_dict'].values())
    # The last good checkpoint leads on.
    cfg = tiny_config(method, tiny_voc, tmp_path, resume=True)
    assert list(train(cfg).losses) == [2, 3]

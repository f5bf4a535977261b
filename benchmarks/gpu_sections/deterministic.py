"""``randomness.deterministic=True``: which methods have no deterministic kernel."""

import os
from collections.abc import Callable, Iterator

import torch
from helpers.methods import METHODS, NUM_TAGS
from helpers.tiny import batch_of, set_phase, tiny_network
from mmseg.evaluation import IoUMetric
from timing import to_device

from .measuring import Setting

SHARE = 4
# By docs/configs.md, on a GPU: gradients of their classifiers.
WITHOUT_KERNEL = ('AFA', 'TSCD')
CLASSIFIER = {
    'type': 'CAMHead',
    'in_channels': 16,
    'num_classes': NUM_TAGS,
    'pooling': 'gmp',
}


def rows(setting: Setting) -> Iterator[dict]:
    os.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'
    for name in (*setting.methods, 'IoUMetric'):
        run = validation if name == 'IoUMetric' else step
        errors = {
            warn: error_of(lambda n=name, r=run: r(n, setting), warn)
            for warn in (False, True)
        }
        expected = setting.gpu and name in (*WITHOUT_KERNEL, 'IoUMetric')
        yield {
            'what': name,
            'ok': bool(errors[False]) == expected and not errors[True],
            'error': errors[False],
            'error_with_hook': errors[True],
        }


def error_of(call: Callable[[], object], warn_only: bool) -> str:
    """Return the error of a call, '' if there is none."""
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    try:
        call()
    except RuntimeError as error:
        return str(error)[:200]
    finally:
        torch.use_deterministic_algorithms(False)
    return ''


def step(name: str, setting: Setting) -> None:
    """Run both directions of a step in the last phase."""
    settings = {'cam_head': CLASSIFIER} if name in WITHOUT_KERNEL else {}
    model = tiny_network(name, **settings).to(setting.device)
    set_phase(model, METHODS[name].phases[-1])
    batch = to_device(batch_of(name), setting.device)
    model.parse_losses(model.loss(*batch))[0].backward()


def validation(_: str, setting: Setting) -> None:
    """Compare labels as mmseg's validation does."""
    labels = torch.zeros(2, 4, 4, dtype=torch.int64, device=setting.device)
    IoUMetric.intersect_and_union(*labels, 3, 255)

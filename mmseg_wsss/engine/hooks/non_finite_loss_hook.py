import math

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS
from mmseg_wsss.utils.configs import walk


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Stop training at the first loss that is not finite.

    The message gives the losses, the iteration and the images of the batch. The hook
    runs before MMEngine's ``CheckpointHook``, and it refuses to save weights or
    optimizer states that are not finite, so the last checkpoint is always usable.

    Raises:
        FloatingPointError: If a loss, or a tensor to be saved, is not finite.
    """

    priority = 'HIGH'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Check every logged loss of this iteration."""
        losses = {
            key: float(torch.as_tensor(value).detach())
            for key, value in (outputs or {}).items()
            if 'loss' in key
        }
        bad = {k: v for k, v in losses.items() if not math.isfinite(v)}
        if bad:
            raise FloatingPointError(
                f'iteration {runner.iter}: not finite: '
                + ', '.join(f'{key} = {value}' for key, value in bad.items())
                + '; images of the batch: '
                + ', '.join(_image_paths(data_batch) or ['unknown'])
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the weights and the optimizer states."""
        for part in ('state_dict', 'optimizer'):
            bad = _not_finite(checkpoint.get(part, {}), part)
            if bad:
                raise FloatingPointError(
                    f'iteration {runner.iter}: {bad} is not finite, no checkpoint was '
                    'written'
                )


def _not_finite(node: object, path: str) -> str:
    """Return the path of the first tensor that is not finite; '' if all are finite."""
    tensors = ((p, t) for p, t in walk(node, path) if isinstance(t, torch.Tensor))
    return next((p for p, tensor in tensors if not tensor.isfinite().all()), '')


def _image_paths(data_batch: dict | None) -> list[str]:
    """Return the paths of the images of all branches of a batch."""
    samples = (data_batch or {}).get('data_samples', [])
    groups = samples.values() if isinstance(samples, dict) else [samples]
    return [
        str(sample.metainfo.get('img_path', 'unknown'))
        for group in groups
        for sample in group
        if sample is not None
    ]

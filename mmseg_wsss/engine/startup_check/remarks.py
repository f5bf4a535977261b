"""Find settings that are unusual but may be intended: logged, not rejected."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmseg.models import SegDataPreProcessor
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .loops import ends_of_schedules


def late_schedules(schedulers: Any, loop: Any) -> Iterator[str]:
    """Yield a remark for each schedule that ends after the training.

    This is no problem in itself: a run may stop early on purpose.

    Args:
        schedulers: Built schedulers of the runner: a list, or a dict of lists.
        loop: Training loop.
    """
    for name, end in ends_of_schedules(schedulers):
        if end > loop.max_iters:
            yield (
                f'the schedule of {name} ends at iteration {end}, after the training '
                f'(max_iters={loop.max_iters}), which stops within it; '
                f'end={loop.max_iters} in param_scheduler would run it to its end'
            )


def unmatched_keys(model: nn.Module, cfg: Mapping[str, Any]) -> Iterator[str]:
    """Yield a remark for each key of ``paramwise_cfg`` that matches no parameter.

    Args:
        model: Unwrapped segmentor.
        cfg: Config of the run.
    """
    settings = (cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}
    names = [name for name, _ in model.named_parameters()]
    for key in settings.get('custom_keys') or {}:
        if not any(key in name for name in names):
            yield (
                f'optim_wrapper.paramwise_cfg.custom_keys: {key!r} fits no parameter '
                'and has no effect; correct or remove it'
            )


def small_means(model: nn.Module) -> Iterator[str]:
    """Yield a remark if images in 0..255 are normalized as if they were in 0..1.

    Args:
        model: Unwrapped segmentor.
    """
    for part in model.modules():
        if not isinstance(part, SegDataPreProcessor) or not part._enable_normalize:
            continue
        if bool(
            (part.mean <= 1).all() and (part.std <= 1).all() and (part.mean > 0).any()
        ):
            yield (
                f'data_preprocessor has mean={part.mean.flatten().tolist()}: images '
                'that mmcv loads are in 0..255; multiply mean and std by 255'
            )


def small_view_statistics(model: nn.Module) -> Iterator[str]:
    """Yield a remark if a small second view updates the backbone's batch norm.

    Args:
        model: Unwrapped segmentor.
    """
    if not getattr(model, 'second_view', False):
        return
    model.train()  # as the loop does next; applies norm_eval
    backbone = model.get_submodule('backbone')
    if any(isinstance(m, _BatchNorm) and m.training for m in backbone.modules()):
        yield (
            f'{type(model).__name__} passes a second view at scale {model.view_scale} '
            'through batch norm in train mode: its statistics then fit neither view; '
            'model.backbone.norm_eval=True keeps those that it begins with'
        )

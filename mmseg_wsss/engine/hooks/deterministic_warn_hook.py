import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.registry import HOOKS


@HOOKS.register_module()
class DeterministicWarnHook(Hook):
    """Warn, instead of raising, about operations without a deterministic kernel.

    With ``randomness.deterministic=True``, PyTorch raises an error on a GPU at an
    operation without a deterministic kernel, such as the gradient of
    ``adaptive_max_pool2d`` or ``grid_sample``, or a histogram. With this hook, it warns
    and continues; all other operations stay deterministic. Without
    ``deterministic=True`` the hook has no effect. Source: ``warn_only`` of
    https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Turn the errors into warnings."""
        if torch.are_deterministic_algorithms_enabled():
            torch.use_deterministic_algorithms(True, warn_only=True)

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import HOOKS

from ..startup_check import StartupError, check_checkpoint, check_once


@HOOKS.register_module()
class StartupCheckHook(Hook):
    """Reject a config that is known to train or test incorrectly.

    Before the first step, the parts of a config are compared with each other: heads and
    labels with the classes of the data, loops with samplers and schedules, phases with
    their hooks, ``save_best`` with the results of the validation, sizes with crops. A
    checkpoint must match the network into which it is loaded, for testing as well.

    Args:
        partial_weights: Whether to accept a checkpoint that matches the network only
            in part.

    Raises:
        StartupError: If there are problems; the message lists them, one per line.
    """

    priority = 'VERY_HIGH'

    def __init__(self, partial_weights: bool = False) -> None:
        self.partial_weights = partial_weights

    def before_train(self, runner: Runner) -> None:
        """Check the run; a resumed one has restored its schedules by now."""
        check_once(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check that a checkpoint matches the network."""
        if self.partial_weights:
            return
        state = checkpoint.get('state_dict', checkpoint)
        # The optimizer is built for training only, before the weights are loaded.
        training = not isinstance(runner.optim_wrapper, dict | None)
        problems = list(check_checkpoint(unwrap(runner.model), state, training))
        if problems:
            raise StartupError(problems)

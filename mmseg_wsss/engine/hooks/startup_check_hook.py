from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_wsss.models.utils import unwrap
from mmseg_wsss.registry import HOOKS

from ..startup_check import StartupError, check_checkpoint, check_once


@HOOKS.register_module()
class StartupCheckHook(Hook):
    """Refuse a run with a config that is known to train or test wrongly.

    Before the first step it compares the parts of a config with each other: heads and
    labels with the classes of the data, loops with samplers and schedules, phases with
    their hooks, ``save_best`` with the results of the validation, sizes with crops. A
    checkpoint that is loaded, also for testing, must fit the network.

    Args:
        partial_weights: Accept a checkpoint that fits the network in part.

    Raises:
        StartupError: With all problems, one per line.
    """

    priority = 'VERY_HIGH'

    def __init__(self, partial_weights: bool = False) -> None:
        self.partial_weights = partial_weights

    def before_train(self, runner: Runner) -> None:
        """Check the run; a resumed one has its saved schedules by now."""
        check_once(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check that a checkpoint fits the network."""
        if self.partial_weights:
            return
        state = checkpoint.get('state_dict', checkpoint)
        # The optimizer is built before a training loads weights, and only there.
        training = not isinstance(runner.optim_wrapper, dict | None)
        problems = list(check_checkpoint(unwrap(runner.model), state, training))
        if problems:
            raise StartupError(problems)

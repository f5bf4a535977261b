"""Check checkpoints against the network into which they are loaded."""

from collections.abc import Iterator, Mapping
from copy import deepcopy

from torch import Tensor, nn

from .problem import Problem, few


def check_checkpoint(
    model: nn.Module, state: Mapping[str, Tensor], training: bool
) -> Iterator[Problem]:
    """Check that a checkpoint matches a network.

    For training, the checkpoint may lack a part of the network, such as a new decode
    head, but no tensor of the backbone, and the network must use at least half of the
    checkpoint's tensors, not counting modules that it does not have, such as a mean
    teacher. For testing, all tensors must match.

    Args:
        model: Unwrapped segmentor.
        state: ``state_dict`` of the checkpoint.
        training: Whether the network is trained from the checkpoint.
    """
    no_weights = [key for key, value in state.items() if not hasattr(value, 'shape')]
    if no_weights:
        yield Problem(
            f'the checkpoint has no state_dict, but {few(sorted(state))}',
            "save its weights as dict(state_dict=...), e.g. checkpoint['model']",
        )
        return
    # MMEngine removes the prefix of a wrapped model when it loads the weights.
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    # The segmentor's own loading rules apply, e.g. a network also fills its teacher.
    copy = deepcopy(model).to('meta')
    filled = {key: value.to('meta') for key, value in state.items()}
    wrong = {
        key
        for key, value in filled.items()
        if key in shapes and tuple(value.shape) != shapes[key]
    }
    kept = {key: value for key, value in filled.items() if key not in wrong}
    try:
        result = copy.load_state_dict(kept, strict=False)
    except RuntimeError as error:  # shapes of a network that fills several others
        yield Problem(
            f'the checkpoint does not fit {type(model).__name__}: '
            + ' '.join(str(error).split()),
            'name the checkpoint of this network, or the config of that checkpoint',
        )
        return
    missing = {key for key in result.missing_keys if 'num_batches_tracked' not in key}
    unexpected = set(result.unexpected_keys)
    used = len(state) - len(unexpected) - len(wrong)
    if training:
        backbone = {key for key in missing if 'backbone.' in key} - wrong
        children = {name for name, _ in model.named_children()}
        of_others = sum(key.split('.')[0] not in children for key in unexpected)
        bad = bool(backbone) or used < (len(state) - of_others) / 2
    else:
        bad = bool(missing or unexpected or wrong)
    if bad:
        parts = [
            f'{len(keys)} {what} ({few(sorted(keys))})'
            for what, keys in (
                ('tensors missing', missing - wrong),
                ('tensors of no use', unexpected),
                ('tensors of another shape', wrong),
            )
            if keys
        ]
        yield Problem(
            f'the checkpoint does not fit {type(model).__name__}: {", ".join(parts)}; '
            f'{used} of its {len(state)} tensors fit',
            'name the checkpoint of this network, or allow it by '
            "dict(type='StartupCheckHook', partial_weights=True) in custom_hooks",
        )

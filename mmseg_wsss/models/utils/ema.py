import torch
from torch import Tensor, nn

from .unwrap import unwrap


@torch.no_grad()
def update_ema(
    teacher: nn.Module, student: nn.Module, decay: float, buffers: bool = True
) -> None:
    """Update a teacher as the exponential moving average of its student.

    ``teacher = decay * teacher + (1 - decay) * student`` for parameters and floating
    buffers, in place, in one call for all tensors of one type; integer and boolean
    buffers are copied. The average is computed in the teacher's type, so that a
    teacher in float32 accumulates the small steps of a student in bfloat16. Source:
    Tarvainen and Valpola (Mean teachers are better role models), section 2,
    https://arxiv.org/abs/1703.01780.

    Args:
        teacher: Module that is updated. Wrappers (DDP, ``torch.compile``) are
            unwrapped, here and for the student.
        student: Module of the same structure; it is not modified.
        decay: Weight of the old teacher in [0, 1] (MMEngine's ``momentum`` is
            ``1 - decay``). 0 copies the student exactly, 1 keeps the teacher.
        buffers: Whether to average and copy buffers, too. A teacher in train mode has
            batch norm statistics from its own forward passes.

    Raises:
        ValueError: If ``decay`` lies outside [0, 1], or if the modules differ in the
            name or the shape of a tensor; the message names it.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f'decay must lie in [0, 1], got {decay}')
    averaged: dict[tuple[torch.device, torch.dtype], tuple[list, list]] = {}
    for old, new in _pairs(unwrap(teacher), unwrap(student), buffers):
        if not (old.is_floating_point() or old.is_complex()):
            old.copy_(new)
            continue
        targets, sources = averaged.setdefault((old.device, old.dtype), ([], []))
        targets.append(old)
        sources.append(new.to(old.device, old.dtype))
    for targets, sources in averaged.values():
        if decay == 0:  # 0 * inf of an overflowed teacher would be NaN
            torch._foreach_copy_(targets, sources)
        else:
            torch._foreach_lerp_(targets, sources, 1 - decay)


def _pairs(
    teacher: nn.Module, student: nn.Module, buffers: bool
) -> list[tuple[Tensor, Tensor]]:
    """Return the tensors of both modules as pairs of the same name and shape."""
    kinds = ('named_parameters', 'named_buffers')[: 1 + buffers]
    pairs = []
    for kind in kinds:
        of_teacher = dict(getattr(teacher, kind)())
        of_student = dict(getattr(student, kind)())
        for name in sorted(of_teacher.keys() ^ of_student.keys()):
            poorer = 'student' if name in of_teacher else 'teacher'
            raise ValueError(
                f'teacher and student differ in structure: the {poorer} has no {name}'
            )
        for name, old in of_teacher.items():
            new = of_student[name]
            if old.shape != new.shape:
                raise ValueError(
                    f'teacher and student differ in the shape of {name}: '
                    f'{tuple(old.shape)} and {tuple(new.shape)}'
                )
            pairs.append((old.detach(), new.detach()))
    return pairs

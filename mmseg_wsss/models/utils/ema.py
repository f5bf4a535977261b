import torch
from torch import Tensor, nn

from .unwrap import unwrap


@torch.no_grad()
def update_ema(
    teacher: nn.Module, student: nn.Module, decay: float, buffers: bool = True
) -> None:
    """Move the teacher: ``decay * teacher + (1 - decay) * student``.

    Parameters and floating buffers are averaged in place, all tensors of one type in
    one call; integer and bool buffers are copied. The average is taken in the teacher's
    type, so a teacher in float32 follows a student in bfloat16 without losing small
    steps.

    Args:
        teacher: Module whose tensors change. Wrappers (DDP, ``torch.compile``) are
            looked through, here and for the student.
        student: Module of the same structure, which stays as it is.
        decay: Weight of the old teacher in [0, 1] (MMEngine's ``momentum`` is
            ``1 - decay``). 0 copies the student exactly, 1 leaves the average alone.
        buffers: Whether buffers take part. A teacher in train mode keeps batch norm
            statistics of its own (mkd.md, quirk 3).

    Raises:
        ValueError: If ``decay`` lies outside [0, 1], or if the modules differ in the
            name or the shape of a tensor, which is named.
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
        if decay == 0:  # a teacher that is not finite would stay so
            torch._foreach_copy_(targets, sources)
        else:
            torch._foreach_lerp_(targets, sources, 1 - decay)


def _pairs(
    teacher: nn.Module, student: nn.Module, buffers: bool
) -> list[tuple[Tensor, Tensor]]:
    """Tensors of both modules that bear the same name, all of them checked."""
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

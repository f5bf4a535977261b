"""Checkpoints of other networks and methods, extended to all networks."""

from collections.abc import Mapping, Sequence
from typing import Any

FIRST_STUDENTS = ('student', 'student1')


def fill_networks(
    state: dict[str, Any],
    prefix: str,
    students: Sequence[str],
    pairs: Mapping[str, str],
) -> None:
    """Complete a state dict in place, so that it has weights for every network.

    A checkpoint without any of the networks fills all of them: a plain one of mmseg,
    or the first student of a method with other names. Otherwise the missing teachers
    are filled with their students. The classifier ``cam_head`` is kept.

    Args:
        state: The state dict.
        prefix: Prefix of the segmentor's keys in it.
        students: Names of the students.
        pairs: Student of each teacher.
    """
    classifier = f'{prefix}cam_head.'
    found = [
        key
        for key in state
        if key.startswith(prefix) and not key.startswith(classifier)
    ]
    stems = {key[len(prefix) :].split('.')[0] for key in found}
    networks = {*students, *pairs}
    foreign = not stems & networks
    if foreign:
        source = next((f'{name}.' for name in FIRST_STUDENTS if name in stems), '')
        sources = dict.fromkeys(networks, prefix + source)
    else:
        sources = {
            teacher: f'{prefix}{student}.'
            for teacher, student in pairs.items()
            if teacher not in stems and student in stems
        }
    for name, source in sources.items():
        for key in found:
            if key.startswith(source):
                state[f'{prefix}{name}.{key[len(source) :]}'] = state[key]
    if foreign:
        for key in found:
            del state[key]

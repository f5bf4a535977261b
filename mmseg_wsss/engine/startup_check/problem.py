from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Problem that is known to make a config train or test incorrectly.

    Args:
        found: What was found, with the value and its place in the config.
        change: The line to change, or another remedy.
    """

    found: str
    change: str

    def __str__(self) -> str:
        return f'{self.found}; {self.change}'


def few(names: Iterable[str], most: int = 4) -> str:
    """Join the first names for a message, and count the others."""
    every = list(names)
    rest = f' and {len(every) - most} more' if len(every) > most else ''
    return ', '.join(every[:most]) + rest


class StartupError(ValueError):
    """All problems of a run, raised before its first step.

    Args:
        problems: The problems; the message lists them, one per line.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        lines = [f'  {number}. {item}' for number, item in enumerate(problems, 1)]
        title = 'the start-up check found what would train wrongly:'
        super().__init__('\n'.join([title, *lines]))

"""Format the notes below the table of a comparison: budget, starts and versions."""

from collections.abc import Mapping, Sequence
from typing import Any

Runs = Sequence[Mapping[str, Any]]


def budget_of(runs: Runs) -> str:
    """List the steps, images per step and starts of the runs, equal ones together."""
    names: dict[tuple, dict[str, None]] = {}
    for run in runs:
        key = (run['steps'], run['images_a_step'], run['start'])
        names.setdefault(key, {})[run['name']] = None
    texts = []
    for (steps, images, start), found in sorted(
        names.items(), key=lambda item: item[0][2] is not None
    ):
        begin = '' if start is None else f' from {start}'
        texts.append(f'{", ".join(found)}: {steps} steps of {images} images{begin}')
    return f'Budget: {"; ".join(texts)}.'


def notes_on_starts(runs: Runs, baseline: str) -> list[str]:
    """List the runs that are not known to start from the baseline's network.

    Starts are identified by the digests of their networks, which older reports lack. A
    run with another named start than the baseline is not compared.
    """
    started = [run for run in runs if run['start'] is not None]
    unknown = [run for run in started if run.get('start_network') is None]
    base = {run['seed']: run for run in started if run['name'] == baseline}
    others = [
        run
        for run in started
        if run not in unknown
        and run['start'] == base.get(run['seed'], {}).get('start')
        and base[run['seed']].get('start_network') not in (None, run['start_network'])
    ]
    notes = []
    if unknown:
        names = 'all runs' if len(unknown) == len(started) else _names(unknown, started)
        notes.append(f'Start not recorded: {names}.')
    if others:
        names = _names(others, started)
        notes.append(f'Start differs from {baseline} of the same seed: {names}.')
    return notes


def _names(runs: Runs, of: Runs) -> str:
    """List runs by name, with their seeds if these are not all seeds of the name."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        seeds.setdefault(run['name'], []).append(run['seed'])
    texts = []
    for name, found in seeds.items():
        some = len(found) < sum(run['name'] == name for run in of)
        word = 'seeds' if len(found) > 1 else 'seed'
        numbers = ', '.join(map(str, sorted(found)))
        texts.append(f'{name} ({word} {numbers})' if some else name)
    return ', '.join(texts)


def notes_on_versions(runs: Runs) -> list[str]:
    """List the versions that differ between the runs that recorded them."""
    values: dict[str, dict[str, None]] = {}
    for run in runs:
        for package, version in (run.get('versions') or {}).items():
            commit, dirty, _ = version.partition('-dirty')
            values.setdefault(package, {})[commit[:12] + dirty] = None
    texts = [
        f'{package} {" and ".join(sorted(found))}'
        for package, found in values.items()
        if len(found) > 1
    ]
    return [f'Versions differ: {"; ".join(texts)}.'] if texts else []

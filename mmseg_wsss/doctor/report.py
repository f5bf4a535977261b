"""Run the checks and print their findings."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from . import machine, packages
from .findings import PROBLEM, Finding


def examine(work_dir: Path) -> Iterator[Finding]:
    """Run all checks, those without imports first."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        machine.check_python,
        packages.check_family,
        packages.check_modules,
        lambda: machine.check_disk(work_dir),
        machine.check_threads,
        machine.check_compiler,
        machine.check_torch,
        packages.check_ops,
        packages.check_torchvision,
        packages.check_crf,
        packages.check_package,
    )
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # the other checks still help
            text = f'a check failed with {type(error).__name__}: {error}'
            yield Finding(PROBLEM, text, 'reinstall the packages that it names')


def main(argv: list[str] | None = None) -> int:
    """Print the findings; return 1 if one is a problem, otherwise 0."""
    parser = argparse.ArgumentParser(
        prog='python -m mmseg_wsss.doctor',
        description='Check the environment and name a remedy for each problem.',
    )
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs'), help='folder of the runs'
    )
    problems = 0
    for status, text, remedy in examine(parser.parse_args(argv).work_dir):
        print(f'{status:<9}{text}', flush=True)
        if status == PROBLEM:
            problems += 1
            print(f'{"":<9}-> {remedy}', flush=True)
    print(f'{problems or "no"} problem{"" if problems == 1 else "s"}')
    return int(problems > 0)

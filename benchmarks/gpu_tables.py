"""Write the tables of docs/gpu.md from the report of gpu_check.py.

    python benchmarks/gpu_tables.py [--report benchmarks/results/gpu_check.json]

Figures that are missing in the report become ``not measured``; without a report, all.
"""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'gpu.md'
REPORT = ROOT / 'benchmarks' / 'results' / 'gpu_check.json'
TABLE = re.compile(r'(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)', re.S)
NONE = 'not measured'
# The rows that are expected; a report may have more.
SECTIONS = {
    'environment': 'versions, speed of memory and matrix products',
    'parity': 'losses and gradients of every method and phase, GPU against CPU',
    'parts': 'refiners and losses against their references',
    'steps': 'whole steps of the published recipes',
    'runner': 'training and resuming with mixed precision and one rank of NCCL',
    'inference': 'predictions, pseudo-labels and exported networks, GPU against CPU',
    'strategies': 'the strategies of MMEngine',
    'deterministic': '`randomness.deterministic=True`',
    'compiled': '`torch.compile` of losses and of whole steps',
    'trainings': 'trainings on the toy images',
}
STEPS = (
    'ASDT, labels of teacher A, float32',
    'ASDT, labels of teacher B, float32',
    'TSCD, warm-up, float16',
    'TSCD, training, float16',
    'MKD, training, float16',
    'RCMMAM, RCM, float32',
    'RCMMAM, RCM + MAM, float32',
)
PARTS = (
    'DenseCRF, 21 labels, 4 x 321',
    'PAR, triton, 4x8x256x256',
    'VARM, triton, 4x8x256x256',
    'ISDA, 21 classes, 16384 pixels',
    'RCM: prototypes, loss, gradient',
    'dense_energy_loss',
)


def tables(report: dict) -> dict[str, str]:
    """Return every table of the page by name."""
    rows = {
        name: {row['what']: row for row in part['rows']}
        for name, part in report.get('sections', {}).items()
    }
    return {
        'sections': table(
            ('section', 'checks', 'passed', 'failed', 'seconds'),
            [
                (f'`{name}`', what, *section_cells(report, name))
                for name, what in SECTIONS.items()
            ],
        ),
        'steps': table(
            ('step', 'ms', 'naive, ms', 'GiB', 'launches', 'waits', 'idle'),
            figures(rows.get('steps', {}), STEPS, step_cells, 6),
        ),
        'parts': table(
            ('part', 'ms', 'difference', 'of copy speed', 'launches', 'waits'),
            figures(rows.get('parts', {}), PARTS, part_cells, 5),
        ),
        'machine': machine(report, rows),
    }


def machine(report: dict, rows: dict) -> str:
    """Return the sentence that names the machine."""
    found = rows.get('environment', {}).get('environment')
    if not found or not found['ok']:
        return 'No report: nothing here is measured.\n'
    host = report.get('machine', {})  # missing if the check was killed
    name = host.get('gpu') or host.get('cpu') or 'A machine without a recorded name'
    return (
        f'{name}, torch {found["torch"]}, Triton '
        f'{found["triton"] or "not installed"}, Python {found["python"]}; '
        f'{found["copy_GBs"]:.0f} GB/s of copies, {found["float16_TFLOPs"]:.0f} '
        'TFLOP/s of float16 products.\n'
    )


def section_cells(report: dict, name: str) -> tuple[str, ...]:
    part = report.get('sections', {}).get(name)
    if part is None:
        return (NONE,) * 3
    late = '' if part['complete'] else ', out of time'
    return str(part['passed']), str(len(part['failed'])), f'{part["seconds"]:.0f}{late}'


def figures(
    rows: dict, expected: tuple[str, ...], cells: Callable[[dict], tuple], count: int
) -> list[tuple]:
    """Return the rows of a table, the expected ones first."""
    names = [*expected, *(name for name in rows if name not in expected)]
    return [
        (name, *(cells(rows[name]) if name in rows else (NONE,) * count))
        for name in names
    ]


def step_cells(row: dict) -> tuple:
    if 'ms' not in row:
        return ('failed', *('-',) * 5)
    return (
        f'{row["ms"]["ours"]:.0f}',
        number(row['ms'].get('naive'), '.0f'),
        number(row['GiB'].get('ours'), '.1f'),
        row['launches'],
        sum(row['waits'].values()),
        f'{100 * row["idle_ratio"]:.0f} %',
    )


def part_cells(row: dict) -> tuple:
    if 'ms' not in row:
        return ('failed', *('-',) * 4)
    gap = row.get('gap', 1 - row.get('same_labels', 1))
    gap = max(gap.values()) if isinstance(gap, dict) else gap
    times = ', '.join(f'{name} {value:.2f}' for name, value in row['ms'].items())
    return (
        times,
        f'{gap:.1e}',
        number(row.get('share_of_copy'), '.0%'),
        row['launches'],
        sum(row.get('waits', {}).values()),
    )


def number(value: float | None, style: str) -> str:
    return '-' if value is None else format(value, style)


def table(head: tuple, rows: list[tuple]) -> str:
    lines = [head, ('---',) * len(head), *rows]
    return ''.join(f'| {" | ".join(map(str, line))} |\n' for line in lines)


def filled(page: str, report: dict) -> str:
    """Return the page with the tables of a report."""
    made = tables(report)
    return TABLE.sub(lambda match: match[1] + made[match[2]] + match[3], page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--report', type=Path, default=REPORT)
    parser.add_argument('--page', type=Path, default=PAGE)
    args = parser.parse_args()
    report = json.loads(args.report.read_text()) if args.report.is_file() else {}
    args.page.write_text(filled(args.page.read_text(), report))


if __name__ == '__main__':
    main()

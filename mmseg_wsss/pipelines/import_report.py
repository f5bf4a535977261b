"""Report on imported masks: coverage of the tags, and what to label next."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from prettytable import PrettyTable

from mmseg_wsss.datasets.splits.split_lists import write_list
from mmseg_wsss.utils.files import StrPath, atomic_write

Record = dict[str, Any]  # status and measurements of an image
STATUSES = ('accepted', 'rejected', 'without masks', 'without tags')
COLUMNS = ('disagreement', 'differing_pixels', 'coverage', 'missing', 'untagged')


def write_report(
    out: StrPath,
    records: Sequence[Record],
    classes: Sequence[str],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Write ``report.json``, ``disagreement.csv`` and lists of images.

    ``accepted.txt`` and ``others.txt`` list the images with and without an accepted
    mask, and ``tagged.txt`` those of ``others.txt`` that have tags.

    Args:
        out: Folder of the files.
        records: Record of each image.
        classes: Names of the K foreground classes.
        settings: Settings of the import.

    Returns:
        ``settings``; ``images``, the number of images by status; ``classes``, for each
        class the number of tagged images, the number of those with the class in the
        mask, their ratio (None without tagged images), and the numbers of images and
        pixels with the class in the mask but not in the tags; ``covered_pixels``, the
        mean ratio of pixels that the masks label; ``labeled_pixels``, the mean ratio of
        labeled pixels in the written masks, which pseudo-masks may have completed (None
        without written masks); ``disagreement``, its mean (None without pseudo-masks);
        and ``records``, without digests.
    """
    checked = [record for record in records if 'coverage' in record]
    accepted = [record for record in checked if record['status'] == 'accepted']
    compared = [record for record in checked if 'disagreement' in record]
    report = {
        'settings': dict(settings),
        'images': {
            status: sum(record['status'] == status for record in records)
            for status in STATUSES
        },
        'classes': {name: _class_counts(name, checked) for name in classes},
        'covered_pixels': _mean(checked, 'covered_pixels'),
        'labeled_pixels': _mean(accepted, 'labeled_pixels'),
        'disagreement': _mean(compared, 'disagreement'),
        'records': [
            {key: value for key, value in record.items() if key != 'sha256'}
            for record in records
        ],
    }
    with atomic_write(Path(out, 'report.json'), 'w') as file:
        json.dump(report, file, indent=1)
    of_list = {
        'accepted': STATUSES[:1],
        'others': STATUSES[1:],
        'tagged': ('rejected', 'without masks'),
    }
    for name, statuses in of_list.items():
        names = [r['image'] for r in records if r['status'] in statuses]
        write_list(Path(out, f'{name}.txt'), names)
    if compared:
        _write_disagreement(Path(out, 'disagreement.csv'), compared)
    return report


def report_table(report: Mapping[str, Any]) -> str:
    """Format the coverage of each class that occurs, as a text table."""
    table = PrettyTable(
        ['class', 'images with the tag', 'shown', 'shown, %', 'shown without a tag']
    )
    table.align = 'r'
    table.align['class'] = 'l'
    for name, row in report['classes'].items():
        if row['tagged'] or row['untagged_images']:
            ratio = '-' if row['coverage'] is None else f'{100 * row["coverage"]:.1f}'
            untagged = row['untagged_images']
            table.add_row([name, row['tagged'], row['shown'], ratio, untagged])
    return table.get_string()


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the numbers of images and the means as sentences."""
    counts = ', '.join(f'{n} {status}' for status, n in report['images'].items())
    lines = [f'{len(report["records"])} images: {counts}']
    derived = sum('tags_from_mask' in record for record in report['records'])
    if derived:
        lines.append(f'{derived} images without an entry: tags from their masks')
    ratios = {
        'covered_pixels': 'pixels covered by the masks',
        'labeled_pixels': 'pixels with a label in the written masks',
    }
    for key, title in ratios.items():
        if report[key] is not None:
            lines.append(f'{title}: {100 * report[key]:.1f} %')
    if report['disagreement'] is not None:
        lines.append(
            'disagreement with the pseudo-masks (1 - mIoU of an image, mean): '
            f'{report["disagreement"]:.3f}'
        )
    return lines


def _class_counts(name: str, records: Sequence[Record]) -> dict[str, Any]:
    shown = sum(name in record['shown'] for record in records)
    tagged = shown + sum(name in record['missing'] for record in records)
    untagged = [r['untagged'][name] for r in records if name in r['untagged']]
    return {
        'tagged': tagged,
        'shown': shown,
        'coverage': shown / tagged if tagged else None,
        'untagged_images': len(untagged),
        'untagged_pixels': sum(untagged),
    }


def _mean(records: Sequence[Record], key: str) -> float | None:
    return mean(record[key] for record in records) if records else None


def _write_disagreement(path: Path, records: Sequence[Record]) -> None:
    """Write the images, in descending order of disagreement."""
    with atomic_write(path, 'w') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['image', *COLUMNS, 'status'])
        for record in sorted(records, key=lambda r: (-r['disagreement'], r['image'])):
            cells = [record[key] for key in COLUMNS]
            writer.writerow(
                [
                    record['image'],
                    *(
                        f'{c:.4f}' if isinstance(c, float) else ';'.join(c)
                        for c in cells
                    ),
                    record['status'],
                ]
            )

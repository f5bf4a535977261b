"""Format scores as text tables, for loggers and tools."""

from collections.abc import Mapping, Sequence

from prettytable import PrettyTable

from .confusion import LabelScores


def class_table(scores: LabelScores, classes: Sequence[str]) -> str:
    """Format the scores of every class as a text table, in percent.

    Args:
        scores: Scores of C classes.
        classes: Names of the C classes.

    Raises:
        ValueError: If there are not C names.
    """
    if len(classes) != len(scores.iou):
        raise ValueError(
            f'expected {len(scores.iou)} class names, found {len(classes)}'
        )
    table = PrettyTable()
    table.add_column('Class', list(classes), align='l')
    for name, column in scores.per_class().items():
        table.add_column(name, [_text(value) for value in column], align='r')
    return table.get_string()


def summary_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Format one row of scores per name, such as a source of labels, as a text table.

    Args:
        rows: Scores by name; the columns are the union of all score names in the
            order of their first occurrence.
    """
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = PrettyTable(['', *columns])
    table.align = 'r'
    table.align[''] = 'l'
    for name, row in rows.items():
        table.add_row([name, *(_text(row.get(column)) for column in columns)])
    return table.get_string()


def _text(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.2f}'

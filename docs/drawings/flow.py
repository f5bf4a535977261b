"""Draw a data flow as SVG.

A drawing is a grid of boxes and the arrows between them. The colors keep their contrast
on a white and on a dark page. Dashed arrows carry no gradient.
"""

from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 158, 56, 46, 20, 8
SCALE = 0.85
FILL = {
    'data': '#57606a',
    'net': '#2563a8',
    'map': '#2a7a4b',
    'label': '#9a5b13',
    'loss': '#a03a5a',
}
LINE, WORDS = '#818b98', '#6e7781'
FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass
class Drawing:
    """Boxes ``name: (column, row, kind, text)`` and arrows ``(from, to, options)``.

    Options of an arrow: ``dash`` (no gradient) and a label after a colon.
    """

    title: str
    boxes: dict[str, tuple[float, float, str, str]]
    arrows: list[tuple[str, str, str]] = field(default_factory=list)


def corner(column: float, row: float) -> tuple[float, float]:
    """Return the upper left corner of a box."""
    return MARGIN + column * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y)


def box(column: float, row: float, kind: str, text: str) -> str:
    """Return one box with its lines of text."""
    x, y = corner(column, row)
    lines = text.split('\n')
    top = y + HEIGHT / 2 - 8.5 * (len(lines) - 1) + 4.5
    words = ''.join(
        f'<tspan x="{x + WIDTH / 2:g}" y="{top + 17 * i:g}">{escape(line)}</tspan>'
        for i, line in enumerate(lines)
    )
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="7" '
        f'fill="{FILL[kind]}"/>\n<text fill="#fff" text-anchor="middle">{words}</text>'
    )


def arrow(start: tuple, end: tuple, options: str) -> str:
    """Return the arrow between two boxes: rightwards, or up and down in a column."""
    dash, _, label = options.partition(':')
    (x0, y0), (x1, y1) = corner(*start[:2]), corner(*end[:2])
    if start[0] == end[0]:
        down = y1 > y0
        xa = xb = x0 + WIDTH / 2
        ya, yb = (y0 + HEIGHT, y1) if down else (y0, y1 + HEIGHT)
        path = f'M{xa:g} {ya:g}L{xb:g} {yb:g}'
        anchor = f'x="{xa + 8:g}" y="{(ya + yb) / 2 + 4:g}"'
    else:
        forward = x1 > x0
        xa, xb = (x0 + WIDTH, x1) if forward else (x0, x1 + WIDTH)
        ya, yb = y0 + HEIGHT / 2, y1 + HEIGHT / 2
        bend = GAP_X * 0.7 * (1 if forward else -1)
        path = f'M{xa:g} {ya:g}C{xa + bend:g} {ya:g} {xb - bend:g} {yb:g} {xb:g} {yb:g}'
        anchor = f'x="{(xa + xb) / 2:g}" y="{(ya + yb) / 2 - 6:g}" text-anchor="middle"'
    style = ' stroke-dasharray="5 4"' if dash == 'dash' else ''
    drawn = f'<path d="{path}" marker-end="url(#tip)"{style}/>'
    if label:
        drawn += f'\n<text fill="{WORDS}" stroke="none" {anchor}>{escape(label)}</text>'
    return drawn


def svg(drawing: Drawing) -> str:
    """Return the SVG of a drawing."""
    places = [corner(column, row) for column, row, *_ in drawing.boxes.values()]
    width = max(x for x, _ in places) + WIDTH + MARGIN
    height = max(y for _, y in places) + HEIGHT + MARGIN
    note = any(options.startswith('dash') for *_, options in drawing.arrows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SCALE * width:.0f}" '
        f'viewBox="0 0 {width:g} {height + 20 * note:g}" font-family="{FONT}" '
        'font-size="13.5" role="img">',
        f'<title>{escape(drawing.title)}</title>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="{LINE}"/>'
        '</marker></defs>',
        f'<g fill="none" stroke="{LINE}" stroke-width="1.6" font-size="12.5">',
        *(
            arrow(drawing.boxes[start], drawing.boxes[end], options)
            for start, end, options in drawing.arrows
        ),
        '</g>',
        *(box(*place) for place in drawing.boxes.values()),
    ]
    if note:
        parts.append(
            f'<text fill="{WORDS}" font-size="12.5" x="{MARGIN}" y="{height + 12:g}">'
            'dashed: without gradient</text>'
        )
    return '\n'.join([*parts, '</svg>', ''])

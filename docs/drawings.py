"""Draw the data flow of every method: `python docs/drawings.py` writes the SVG files.

A drawing is a grid of boxes and the arrows between them. The colors keep their contrast
on a white and on a dark page. Dashed arrows carry no gradient.
"""

from dataclasses import dataclass, field
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent / 'images'
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


DRAWINGS = {
    'cam': Drawing(
        'CAM: a classifier and its class activation maps',
        {
            'img': (0, 0.5, 'data', 'image'),
            'net': (1, 0.5, 'net', 'backbone'),
            'head': (2, 0, 'net', 'CAMHead\npooling, 1x1 conv'),
            'cls': (3, 0, 'loss', 'loss_cls'),
            'tags': (3, 1, 'data', 'tags'),
            'maps': (2, 1, 'map', 'CAM: the conv\non the feature map'),
            'out': (4, 1, 'label', 'pseudo-label:\nscales, threshold'),
        },
        [
            ('img', 'net', ''),
            ('net', 'head', ''),
            ('head', 'cls', ''),
            ('tags', 'cls', 'dash'),
            ('net', 'maps', 'dash'),
            ('maps', 'out', 'dash'),
        ],
    ),
    'cam_seg': Drawing(
        'CAM + segmentation: a decode head on thresholded CAMs',
        {
            'img': (0, 0.5, 'data', 'image, tags'),
            'net': (1, 0.5, 'net', 'backbone'),
            'cam': (2, 0, 'net', 'CAMHead'),
            'cls': (4, 0, 'loss', 'loss_cls'),
            'y': (3, 0.5, 'label', 'label Y: CAM at\nhigh and low thr'),
            'seg': (2, 1, 'net', 'decode head S'),
            'ce': (4, 1, 'loss', 'loss_ce(S, Y)'),
        },
        [
            ('img', 'net', ''),
            ('net', 'cam', ''),
            ('net', 'seg', ''),
            ('cam', 'cls', ''),
            ('cam', 'y', 'dash'),
            ('seg', 'ce', ''),
            ('y', 'ce', 'dash'),
        ],
    ),
    'rrm': Drawing(
        'RRM: a decode head on the reliable pixels of refined CAMs',
        {
            'img': (0, 0.5, 'data', 'image, tags'),
            'net': (1, 0.5, 'net', 'backbone'),
            'cam': (2, 0, 'net', 'CAMHead,\n4 scales'),
            'crf': (3, 0.5, 'map', 'two CRFs: weak and\nstrong background'),
            'la': (4, 0.5, 'label', 'reliable pixels:\nsparse label L_A'),
            'seg': (2, 1.5, 'net', 'decode head S'),
            'cls': (5, 0, 'loss', 'loss_cls'),
            'ce': (5, 1, 'loss', 'loss_ce +\nloss_dense'),
        },
        [
            ('img', 'net', ''),
            ('net', 'cam', ''),
            ('net', 'seg', ''),
            ('cam', 'crf', 'dash'),
            ('crf', 'la', 'dash'),
            ('la', 'ce', 'dash'),
            ('seg', 'ce', ''),
            ('cam', 'cls', ''),
        ],
    ),
    'asdt': Drawing(
        'ASDT: two teachers and a student on one backbone',
        {
            'img': (0, 1.5, 'data', 'image, tags'),
            'net': (1, 1.5, 'net', 'backbone'),
            'cam': (2, 0, 'net', 'teacher A:\nCAMHead'),
            's1': (2, 1.5, 'net', 'teacher B:\nhead S1'),
            's2': (2, 3, 'net', 'student:\nhead S2'),
            'la': (3, 0.5, 'label', 'CRFs, reliable\npixels: L_A (sparse)'),
            'lb': (3, 2.25, 'label', 'CRF of softmax(S1):\nL_B (dense)'),
            'cls': (4, 0, 'loss', 'loss_cls'),
            't': (4, 1.25, 'loss', 'loss_teacher_*\n(S1, L_A)'),
            's': (4, 3, 'loss', 'loss_student_*\nlow: L_A, high: L_B'),
        },
        [
            ('img', 'net', ''),
            ('net', 'cam', ''),
            ('net', 's1', ''),
            ('net', 's2', ''),
            ('cam', 'la', 'dash'),
            ('cam', 'cls', ''),
            ('la', 't', 'dash'),
            ('s1', 't', ''),
            ('s1', 'lb', 'dash'),
            ('la', 's', 'dash'),
            ('lb', 's', 'dash'),
            ('s2', 's', ''),
        ],
    ),
    'afa': Drawing(
        'AFA: affinity from attention spreads and refines the CAM',
        {
            'img': (0, 1, 'data', 'image, tags'),
            'net': (1, 1, 'net', 'Mix Transformer'),
            'cam': (2, 0, 'net', 'CAMHead, 3 scales,\nflipped copies'),
            'aff': (2, 1, 'net', 'affinity A of\nqueries and keys'),
            'seg': (2, 2, 'net', 'decode head S'),
            'walk': (3, 0.5, 'map', 'one step of a\nrandom walk by A'),
            'par': (4, 0.5, 'label', 'PAR, two thr:\nlabels Y and Y_A'),
            'cls': (5, 0, 'loss', 'loss_cls'),
            'la': (5, 1, 'loss', 'loss_affinity\n(A, Y)'),
            'ce': (5, 2, 'loss', 'loss_ce\n(S, Y_A)'),
        },
        [
            ('img', 'net', ''),
            ('net', 'cam', ''),
            ('net', 'aff', ''),
            ('net', 'seg', ''),
            ('cam', 'walk', 'dash'),
            ('aff', 'walk', 'dash'),
            ('walk', 'par', 'dash'),
            ('cam', 'cls', ''),
            ('par', 'la', 'dash'),
            ('par', 'ce', 'dash'),
            ('aff', 'la', ''),
            ('seg', 'ce', ''),
        ],
    ),
    'tscd': Drawing(
        'TSCD: correlations of CAMs of two views supervise those of logits',
        {
            'img': (0, 0.5, 'data', 'image, tags'),
            'img2': (0, 2.5, 'data', 'second view,\nscale 0.3'),
            'net': (1, 0.5, 'net', 'Mix Transformer'),
            'net2': (1, 2.5, 'net', 'the same network'),
            'cam': (2, 0, 'map', 'CAM M1'),
            'seg': (2, 1, 'net', 'logits S1,\naffinity A'),
            'cam2': (2, 2, 'map', 'CAM M2'),
            'seg2': (2, 3, 'net', 'logits S2'),
            'y': (3, 0, 'label', 'VARM, two\nthresholds: Y'),
            'f': (3, 2, 'map', 'cosines F of CAMs,\n1600 random points'),
            'g': (3, 3, 'map', 'cosines G\nof logits'),
            'ce': (4, 0.5, 'loss', 'loss_ce(S1, Y)\nloss_affinity(A, Y)'),
            'scd': (4, 2.5, 'loss', 'loss_scd\n(F, G)'),
        },
        [
            ('img', 'net', ''),
            ('img2', 'net2', ''),
            ('net', 'cam', 'dash'),
            ('net', 'seg', ''),
            ('net2', 'cam2', 'dash'),
            ('net2', 'seg2', ''),
            ('cam', 'y', 'dash'),
            ('y', 'ce', 'dash'),
            ('seg', 'ce', ''),
            ('cam', 'f', 'dash'),
            ('cam2', 'f', 'dash'),
            ('seg', 'g', ''),
            ('seg2', 'g', ''),
            ('f', 'scd', 'dash'),
            ('g', 'scd', ''),
        ],
    ),
    'rcm_mam': Drawing(
        'RCM + MAM: a classifier supervised by the maps of its mean teacher',
        {
            'img': (0, 1.5, 'data', 'image at\nseveral scales'),
            'main': (1, 0.5, 'net', 'MainNet'),
            'sup': (1, 2, 'net', 'SupportNet\n(mean teacher)'),
            'f': (2, 0, 'map', 'embedding F,\nCAMs A_s'),
            'l': (2, 1, 'label', 'regions l of the\nsummed CAMs'),
            'p': (2, 2, 'map', 'prototypes P of the\nregions, memory'),
            'b': (2, 3, 'map', 'CAMs B_r,\nweighted: V_s'),
            'rcm': (3, 0.5, 'loss', 'loss_rcm\n(F, P, l)'),
            'mam': (3, 2.5, 'loss', 'loss_mam\n(A_s, V_s)'),
        },
        [
            ('img', 'main', ''),
            ('img', 'sup', 'dash'),
            ('main', 'f', ''),
            ('main', 'sup', 'dash:EMA'),
            ('sup', 'l', 'dash'),
            ('sup', 'p', 'dash'),
            ('sup', 'b', 'dash'),
            ('f', 'rcm', ''),
            ('l', 'rcm', 'dash'),
            ('p', 'rcm', 'dash'),
            ('f', 'mam', ''),
            ('b', 'mam', 'dash'),
        ],
    ),
    'affinity_net': Drawing(
        'AffinityNet: affinities of pixels from the sure regions of seeds',
        {
            'seed': (0, 0, 'data', 'seeds (CAM)\nof any method'),
            'img': (0, 1.5, 'data', 'image'),
            'crf': (1, 0, 'label', 'two CRFs: labels of\nsure regions'),
            'net': (1, 1.5, 'net', 'backbone and\naffinity head'),
            'aff': (2, 1.5, 'map', 'affinity of pixels\nless than 5 apart'),
            'loss': (3, 0.5, 'loss', 'loss_affinity'),
            'walk': (3, 2, 'map', 'random walk\nof the seeds'),
            'out': (4, 2, 'label', 'pseudo-masks\n(CRF)'),
        },
        [
            ('seed', 'crf', 'dash'),
            ('crf', 'loss', 'dash'),
            ('img', 'net', ''),
            ('net', 'aff', ''),
            ('aff', 'loss', ''),
            ('aff', 'walk', 'dash'),
            ('walk', 'out', 'dash'),
        ],
    ),
    'irnet': Drawing(
        'IRNet: boundaries between classes, and displacements',
        {
            'img': (0, 1, 'data', 'image'),
            'net': (1, 1, 'net', 'backbone'),
            'bound': (2, 0.5, 'map', 'boundary of\nevery cell'),
            'disp': (2, 1.5, 'map', 'displacement\nfield'),
            'aff': (3, 0.5, 'map', 'affinity: 1 - largest\nboundary between'),
            'la': (4, 0, 'loss', 'loss_affinity'),
            'ld': (4, 1.5, 'loss', 'loss_displacement'),
            'walk': (4, 0.75, 'label', 'random walk\nof the seeds'),
        },
        [
            ('img', 'net', ''),
            ('net', 'bound', ''),
            ('net', 'disp', ''),
            ('bound', 'aff', ''),
            ('aff', 'la', ''),
            ('disp', 'ld', ''),
            ('aff', 'walk', 'dash'),
        ],
    ),
    'pipeline': Drawing(
        'From seeds to a network: the stages of the pipeline',
        {
            'tags': (0, 0, 'data', 'images, tags'),
            'net': (1, 0, 'net', 'seeds_network'),
            'seeds': (2, 0, 'map', 'seeds'),
            'labels': (3, 0, 'label', 'affinity_labels'),
            'aff': (4, 0, 'net', 'affinity_network'),
            'walk': (4, 1, 'map', 'refined_seeds'),
            'masks': (3, 1, 'label', 'pseudo_masks'),
            'seg': (2, 1, 'net', 'network'),
            'pred': (1, 1, 'data', 'predictions_*,\nreport.html'),
        },
        [
            ('tags', 'net', ''),
            ('net', 'seeds', ''),
            ('seeds', 'labels', ''),
            ('labels', 'aff', ''),
            ('aff', 'walk', ''),
            ('walk', 'masks', ''),
            ('masks', 'seg', ''),
            ('seg', 'pred', ''),
        ],
    ),
    'supervised': Drawing(
        'Supervised baseline: the labeled images alone',
        {
            'img': (0, 0, 'data', 'labeled image'),
            'net': (1, 0, 'net', 'network'),
            'loss': (2, 0, 'loss', 'sup.* losses of\nits decode head'),
            'gt': (3, 0, 'data', 'mask'),
        },
        [('img', 'net', ''), ('net', 'loss', ''), ('gt', 'loss', 'dash')],
    ),
    'mean_teacher': Drawing(
        'MeanTeacher: the teacher of the weak view labels the strong view',
        {
            'weak': (0, 0, 'data', 'weak view'),
            'strong': (0, 1, 'data', 'strong view,\nCutMix'),
            't': (1, 0, 'net', 'teacher'),
            's': (1, 1, 'net', 'student'),
            'y': (2, 0, 'label', 'hard label, CutMix\n(thr. optional)'),
            'loss': (3, 0.5, 'loss', 'loss_unsup'),
        },
        [
            ('weak', 't', 'dash'),
            ('strong', 's', ''),
            ('s', 't', 'dash:EMA'),
            ('t', 'y', 'dash'),
            ('y', 'loss', 'dash'),
            ('s', 'loss', ''),
        ],
    ),
    'cps': Drawing(
        'CPS: two students label each other',
        {
            'img': (0, 1, 'data', 'labeled and\nunlabeled images'),
            's1': (1, 0, 'net', 'student S1'),
            's2': (1, 2, 'net', 'student S2'),
            'h1': (2, 0.6, 'label', 'hard label h1'),
            'h2': (2, 1.4, 'label', 'hard label h2'),
            'l1': (3, 0, 'loss', 'loss_cps:\nCE(S1, h2)'),
            'l2': (3, 2, 'loss', 'loss_cps:\nCE(S2, h1)'),
        },
        [
            ('img', 's1', ''),
            ('img', 's2', ''),
            ('s1', 'h1', 'dash'),
            ('s2', 'h2', 'dash'),
            ('s1', 'l1', ''),
            ('s2', 'l2', ''),
            ('h1', 'l2', 'dash'),
            ('h2', 'l1', 'dash'),
        ],
    ),
    'fixmatch': Drawing(
        'FixMatch: the weak view labels the strong view',
        {
            'weak': (0, 0, 'data', 'weak view'),
            'strong': (0, 1, 'data', 'strong view,\nCutMix'),
            'n': (1, 0, 'net', 'network'),
            'n2': (1, 1, 'net', 'the same network'),
            'y': (2, 0, 'label', 'hard label where\nconfidence >= 0.95'),
            'loss': (3, 0.5, 'loss', 'loss_unsup'),
        },
        [
            ('weak', 'n', 'dash'),
            ('strong', 'n2', ''),
            ('n', 'y', 'dash'),
            ('y', 'loss', 'dash'),
            ('n2', 'loss', ''),
        ],
    ),
    'unimatch': Drawing(
        'UniMatch: two strong views and one view of perturbed features',
        {
            'weak': (0, 0.5, 'data', 'weak view'),
            's0': (0, 1.5, 'data', 'strong view 0,\nCutMix'),
            's1': (0, 2.5, 'data', 'strong view 1,\nCutMix'),
            'n': (1, 0.5, 'net', 'network'),
            'n2': (1, 2, 'net', 'the same network'),
            'y': (2, 0, 'label', 'hard label where\nconfidence >= 0.95'),
            'fp': (2, 1, 'net', 'channel dropout of\nthe features, head'),
            'lfp': (3, 1, 'loss', 'loss_fp'),
            'loss': (3, 2, 'loss', 'loss_unsup (mean\nof both views)'),
        },
        [
            ('weak', 'n', ''),
            ('s0', 'n2', ''),
            ('s1', 'n2', ''),
            ('n', 'y', 'dash'),
            ('n', 'fp', ''),
            ('fp', 'lfp', ''),
            ('y', 'lfp', 'dash'),
            ('y', 'loss', 'dash'),
            ('n2', 'loss', ''),
        ],
    ),
    'unimatch_v2': Drawing(
        'UniMatch V2: a mean teacher and complementary channel dropout',
        {
            'weak': (0, 0, 'data', 'weak view'),
            's0': (0, 1, 'data', 'strong view 0,\nCutMix'),
            's1': (0, 2, 'data', 'strong view 1,\nCutMix'),
            't': (1, 0, 'net', 'teacher'),
            'n': (1, 1.5, 'net', 'student backbone'),
            'y': (3, 0, 'label', 'hard label where\nconfidence >= 0.95'),
            'd0': (2, 1, 'net', 'channels kept by\nview 0, head'),
            'd1': (2, 2, 'net', 'the other channels\n(view 1), head'),
            'loss': (3, 1.5, 'loss', 'loss_unsup (mean\nof both views)'),
        },
        [
            ('weak', 't', 'dash'),
            ('s0', 'n', ''),
            ('s1', 'n', ''),
            ('n', 't', 'dash:EMA'),
            ('t', 'y', 'dash'),
            ('n', 'd0', ''),
            ('n', 'd1', ''),
            ('d0', 'loss', ''),
            ('d1', 'loss', ''),
            ('y', 'loss', 'dash'),
        ],
    ),
    'mkd': Drawing(
        'MKD: each student is supervised by the other branch',
        {
            'weak': (0, 0.5, 'data', 'weak view'),
            'strong': (0, 2.5, 'data', 'strong view,\nCutMix'),
            't1': (1, 0, 'net', 'teacher T1'),
            't2': (1, 1, 'net', 'teacher T2'),
            's1': (1, 2, 'net', 'student S1'),
            's2': (1, 3, 'net', 'student S2'),
            'mix': (2, 0.5, 'map', 'CutMix of logits,\nISDA offset'),
            'isda': (2, 2.5, 'map', 'ISDA offset'),
            'h': (3, 0.5, 'label', 'hard labels\nof T1, T2'),
            'hs': (3, 3, 'label', 'hard labels\nof S1, S2'),
            'lt': (4, 0.75, 'loss', 'loss_st: CE(S1, T2)\n+ CE(S2, T1)'),
            'ls': (4, 2.25, 'loss', 'loss_ss: CE(S1, S2)\n+ CE(S2, S1)'),
        },
        [
            ('weak', 't1', 'dash'),
            ('weak', 't2', 'dash'),
            ('strong', 's1', ''),
            ('strong', 's2', ''),
            ('t1', 'mix', 'dash'),
            ('t2', 'mix', 'dash'),
            ('s1', 'isda', ''),
            ('s2', 'isda', ''),
            ('mix', 'h', 'dash'),
            ('isda', 'hs', 'dash'),
            ('h', 'lt', 'dash'),
            ('hs', 'ls', 'dash'),
            ('isda', 'lt', ''),
            ('isda', 'ls', ''),
        ],
    ),
}


def main() -> None:
    """Write every drawing."""
    for name, drawing in DRAWINGS.items():
        (FOLDER / f'flow_{name}.svg').write_text(svg(drawing), encoding='utf-8')


if __name__ == '__main__':
    main()

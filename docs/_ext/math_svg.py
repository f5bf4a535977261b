"""Draw formulas as SVG while the site is built: no script and no font to download."""

from html import escape

import ziamath
from docutils import nodes
from sphinx.application import Sphinx

ziamath.config.svg2 = False
# Text size of the formulas; the style sheet scales the drawing by ``em``.
SIZE = 16


def draw(tex: str, inline: bool) -> str:
    """Return ``<svg>`` of a formula, in the color of the text around it.

    Width, height and baseline are given in em, so that a formula follows the size of
    its text. The LaTeX source is the label that screen readers use.
    """
    formula = ziamath.Latex(tex, size=SIZE, color='currentColor', inline=inline)
    svg = formula.svg()
    width, height = formula.getsize()
    style = f'width:{(width + 2) / SIZE:.3f}em;height:{(height + 2) / SIZE:.3f}em'
    if inline:
        style += f';vertical-align:{formula.getyofst() / SIZE:.3f}em'
    label = escape(' '.join(tex.split()))
    return svg.replace(
        '<svg ', f'<svg role="img" aria-label="{label}" style="{style}" ', 1
    )


def visit_inline(translator, node: nodes.math) -> None:
    """Write an inline formula."""
    translator.body.append(f'<span class="math">{draw(node.astext(), True)}</span>')
    raise nodes.SkipNode


def visit_display(translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own; it scrolls where it is too wide."""
    svg = draw(node.astext().strip(), False)
    translator.body.append(f'<div class="math math-display">{svg}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Register the renderer under the name ``svg``."""
    app.add_html_math_renderer('svg', (visit_inline, None), (visit_display, None))
    return {'parallel_read_safe': True, 'parallel_write_safe': True}

"""Settings of the documentation site: `make docs` builds it into docs/_build/html."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / '_ext'), str(HERE.parent)]

from inventories import write_inventories  # noqa: E402
from pygments.lexers.special import TextLexer  # noqa: E402
from sphinx.highlighting import lexers  # noqa: E402

from mmseg_wsss.version import __version__  # noqa: E402

project = 'mmseg_wsss'
author = 'the mmseg_wsss developers'
copyright = 'the mmseg_wsss developers, Apache 2.0'
version = release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.intersphinx',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
    'math_svg',
    'short_names',
]
source_suffix = {'.md': 'markdown'}
exclude_patterns = ['_build', 'inventories']
myst_enable_extensions = ['amsmath', 'colon_fence', 'dollarmath']
myst_heading_anchors = 4

# Docstrings hold the shapes and units; signatures hold the types.
autodoc_typehints = 'signature'
autodoc_typehints_format = 'short'
autodoc_member_order = 'bysource'
autodoc_class_signature = 'mixed'
autodoc_default_options = {
    'members': True,
    'show-inheritance': True,
}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 72
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
add_module_names = False
toc_object_entries_show_parents = 'hide'

# The inventories are written from the text files beside this one, so that a build
# needs no network and the links still lead to the right page.
intersphinx_mapping = write_inventories(HERE / 'inventories')

# Every reference must resolve. Names of other packages may be missing from the short
# inventories, and types like ``Tensor`` or ``int >= 1`` are words.
nitpicky = True
nitpick_ignore_regex = [
    ('py:.*', r'(torch|numpy|np|mmengine|mmcv|mmseg|mmpretrain|collections)\..*'),
    ('py:(class|data|obj)', r'(?!mmseg_wsss\.).*'),
]

html_theme = 'furo'
html_title = f'mmseg_wsss {release}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_math_renderer = 'svg'
html_copy_source = False
pygments_style = 'friendly'
pygments_dark_style = 'github-dark'
lexers['csv'] = TextLexer()
copybutton_exclude = '.linenos, .gp'

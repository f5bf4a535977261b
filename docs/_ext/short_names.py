"""Resolve references by their last name: docstrings say ``cutmix_masks``, not its path.

Objects are documented under the sub-package that exports them, while annotations carry
the module that defines them. Both lead to the same entry here. A name of the package
that is not public is left as plain text, and any other unknown name stays a warning.
"""

import ast
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

PACKAGE = Path(__file__).parents[2] / 'mmseg_wsss'


def defined_names() -> set[str]:
    """Return the names that the package defines, at any depth."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    names = set()
    for path in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, kinds):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    return names


def resolve(app: Sphinx, env, node, contnode) -> nodes.Node | None:
    """Return a link to the one documented object of this last name."""
    if node.get('refdomain') != 'py':
        return None
    name = node['reftarget'].rsplit('.', 1)[-1]
    objects = env.get_domain('py').objects
    found = [full for full in objects if full.rsplit('.', 1)[-1] == name]
    if found:
        entry = objects[min(found, key=len)]
        source = node.get('refdoc', '')
        return make_refnode(
            app.builder, source, entry.docname, entry.node_id, contnode, name
        )
    return contnode if name in app.names_of_the_package else None


def setup(app: Sphinx) -> dict:
    """Connect the resolver."""
    app.names_of_the_package = defined_names()
    app.connect('missing-reference', resolve)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}

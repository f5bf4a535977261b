"""Write intersphinx inventories from readable text files."""

import tempfile
import zlib
from pathlib import Path

HEADER = (
    '# Sphinx inventory version 2\n# Project: {name}\n# Version: \n'
    '# The remainder of this file is compressed using zlib.\n'
)


def write_inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """Return ``intersphinx_mapping`` for all ``*.txt`` of a folder.

    The first line of a file is the address of the documentation, every other line one
    object: ``NAME ROLE PAGE``. ``PAGE`` may hold ``$``, which stands for the name.
    """
    target = Path(tempfile.mkdtemp(prefix='inventories-'))
    mapping = {}
    for path in sorted(folder.glob('*.txt')):
        address, *lines = path.read_text(encoding='utf-8').split('\n')
        entries = [line.split() for line in lines if line.strip()]
        body = ''.join(
            f'{name} py:{role} 1 {page.replace("$", name)}#{name} -\n'
            for name, role, page in entries
        )
        inventory = target / f'{path.stem}.inv'
        header = HEADER.format(name=path.stem).encode()
        inventory.write_bytes(header + zlib.compress(body.encode()))
        mapping[path.stem] = (address, str(inventory))
    return mapping

"""Files from untrusted sources: no pickles, and JSON with the line of an error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmseg_wsss.utils.files import StrPath

PICKLE_SUFFIXES = ('.npy', '.npz', '.pkl', '.pickle', '.pt', '.pth', '.joblib')


def refuse_pickles(path: StrPath) -> None:
    """Refuse files that only unpickling can read, by suffix and by content.

    Raises:
        ValueError: If the file is a NumPy or pickle file; the message explains how to
            convert it.
    """
    path = Path(path)
    by_name = path.suffix.lower() in PICKLE_SUFFIXES
    head = b''
    if path.is_file():
        with open(path, 'rb') as file:
            head = file.read(6)
    if by_name or head[:1] == b'\x80' or head == b'\x93NUMPY':
        raise ValueError(
            f'{path}: image tags are never read from NumPy or pickle files, since '
            'unpickling runs any code that the file contains. Derive the tags again '
            'with tools/dataset_converters/image_tags.py (from masks, VOC XML or COCO '
            'JSON). If you trust the author of a file that holds a dict of 0/1 '
            'vectors, convert it once: python -c "import json, numpy as np; '
            f"d = np.load('{path.name}', allow_pickle=True).item(); "
            'json.dump({str(k): np.flatnonzero(v).tolist() for k, v in d.items()}, '
            "open('tags.json', 'w'))\" and load tags.json with index_base=0"
        )


def parse_json(path: StrPath, text: str, hook: Callable | None = None) -> Any:
    """Parse the text of a JSON file.

    Args:
        path: The file, for messages.
        text: Its content.
        hook: ``object_pairs_hook`` of :func:`json.loads`.

    Raises:
        ValueError: If the JSON is broken; names the file and, if known, the line.
    """
    try:
        return json.loads(text, object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        line = getattr(error, 'lineno', '')
        location = f'{path}:{line}' if line else str(path)
        raise ValueError(f'{location}: broken JSON: {error}') from error

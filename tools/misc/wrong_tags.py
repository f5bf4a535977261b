"""Replace some tags by wrong ones, to measure what noise in the tags costs.

    python tools/misc/wrong_tags.py tags.json tags_wrong-10.json --classes voc \
        --ratio 0.1

A replaced tag is dropped, and a class that the image does not have is added to the same
image, so that images keep their numbers of tags.
"""

import argparse
import runpy
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).parents[1] / 'start.py'))

import numpy as np

from mmseg_wsss.datasets.tags import ImageTags
from mmseg_wsss.datasets.tags.class_names import class_names
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('tags', help='tag file')
    parser.add_argument('out', help='file to write: .json, .csv or .txt')
    parser.add_argument(
        '--classes', required=True, help='as in dataset_converters/image_tags.py'
    )
    parser.add_argument(
        '--ratio', type=float, required=True, help='ratio of replaced tags, in [0, 1]'
    )
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    return parser.parse_args()


def with_wrong_tags(tags: ImageTags, ratio: float, seed: int = 0) -> ImageTags:
    """Replace a ratio of all tags by classes that their images do not have.

    Args:
        tags: True tags of K classes.
        ratio: Ratio of replaced tags in [0, 1], rounded to a number of tags.
        seed: Seed of the choice.

    Raises:
        ValueError: If ``ratio`` is out of range, or an image has no further class to
            add.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f'ratio must be in [0, 1], got {ratio}')
    rng = np.random.default_rng(seed)
    rows = {name: np.flatnonzero(tags.vector(name)) for name in tags.names}
    pairs = [(name, tag) for name, row in rows.items() for tag in row]
    chosen = rng.permutation(len(pairs))[: round(ratio * len(pairs))]
    wrong: dict[str, set[int]] = {name: set(row) for name, row in rows.items()}
    absent = {
        name: list(rng.permutation(np.flatnonzero(tags.vector(name) == 0)))
        for name in tags.names
    }
    for index in chosen:
        name, tag = pairs[index]
        if not absent[name]:
            raise ValueError(f'{tags.location(name)}: {name} has no class left to add')
        wrong[name] ^= {tag, absent[name].pop()}
    indices = {name: sorted(map(int, row)) for name, row in wrong.items()}
    return ImageTags(indices, tags.classes)


@one_line_errors()
def main() -> None:
    args = parse_args()
    if Path(args.tags).resolve() == Path(args.out).resolve():
        raise ValueError(f'{args.out} would replace the true tags; name another file')
    tags = ImageTags.load(args.tags, class_names(args.classes), allow_empty=True)
    with_wrong_tags(tags, args.ratio, args.seed).save(args.out)
    print(f'{args.out}: {len(tags)} images')


if __name__ == '__main__':
    main()

"""Import masks of SAM, CLIP-based segmenters or annotation tools as pseudo-labels.

    python tools/import_masks.py downloads/masks --images data/images \
        --tags data/images/tags.csv --classes cat,dog,person --out data/imported
    python tools/import_masks.py downloads/sam --class-free --pseudo data/pseudo_masks \
        --images data/images --tags data/images/tags.csv --classes cat,dog,person \
        --out data/imported

Label maps keep what the tags of their image allow. Class-free masks take the class that
most of their pixels have in the pseudo-mask. Writes OUT/masks (palette PNG files),
accepted.txt and others.txt (images with and without a mask), report.json (coverage of
the tags) and, with --pseudo, disagreement.csv (what to label next); the same command
resumes an interrupted import.
"""

import argparse
import runpy
import sys
from pathlib import Path

# Imports the package, quietly.
runpy.run_path(str(Path(__file__).with_name('start.py')))

from mmseg_wsss.datasets.splits.split_lists import read_list
from mmseg_wsss.datasets.tags import ImageTags
from mmseg_wsss.datasets.tags.class_names import class_names
from mmseg_wsss.pipelines.import_inputs import ImportSettings
from mmseg_wsss.pipelines.import_masks import import_masks
from mmseg_wsss.pipelines.import_report import report_lines, report_table
from mmseg_wsss.pipelines.predict import find_images
from mmseg_wsss.utils.launch import ToolParser, one_line_errors


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('masks', help='folder of masks, sub-folders included')
    parser.add_argument('--images', required=True, help='folder of the images')
    parser.add_argument('--tags', required=True, help='tag file: JSON, CSV or text')
    parser.add_argument(
        '--classes',
        required=True,
        help='foreground classes: voc, coco_stuff, a registered data set, a file with '
        'one name per line, or a,b,c',
    )
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument(
        '--class-free',
        action='store_true',
        help='the masks have no class: a folder IMAGE/ of PNG files, IMAGE.json with '
        'run lengths or polygons, IMAGE.png or IMAGE.npz with numbers of regions',
    )
    parser.add_argument('--pseudo', help='folder of exported pseudo-masks')
    parser.add_argument(
        '--uncovered',
        choices=['keep', 'ignore'],
        help='whether pixels that no mask labels keep the pseudo-mask or become 255; '
        'default: keep with --pseudo, else ignore',
    )
    parser.add_argument(
        '--min-coverage',
        type=float,
        default=ImportSettings.min_coverage,
        help='reject images if masks show a smaller ratio of their tags; default: '
        '%(default)s',
    )
    parser.add_argument(
        '--min-pixels',
        type=int,
        default=ImportSettings.min_pixels,
        help='number of pixels that a class needs to count as present; '
        'default: %(default)s',
    )
    parser.add_argument('--list', help='import only the images of this split list')
    parser.add_argument(
        '--mask-suffix',
        help='suffix after the image name, such as _manual.png; default: '
        '.png, _mask.png, _labelIds.png, ...',
    )
    parser.add_argument(
        '--zero-is-mask',
        action='store_true',
        help="treat region 0 as a mask too, as numbered by scikit-image's felzenszwalb",
    )
    parser.add_argument(
        '--no-background', action='store_true', help='label 0 is the first class'
    )
    parser.add_argument(
        '--index-base',
        type=int,
        choices=(0, 1),
        help='number of the first class, for numeric tags',
    )
    parser.add_argument(
        '--allow-empty', action='store_true', help='images may have no tag'
    )
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace masks of other settings'
    )
    return parser.parse_args(argv)


@one_line_errors()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    classes = class_names(args.classes)
    tags = ImageTags.load(
        args.tags, classes, index_base=args.index_base, allow_empty=args.allow_empty
    )
    settings = ImportSettings(
        classes,
        class_free=args.class_free,
        keep_uncovered=(args.uncovered or ('keep' if args.pseudo else '')) == 'keep',
        min_coverage=args.min_coverage,
        min_pixels=args.min_pixels,
        background=not args.no_background,
        zero_is_region=args.zero_is_mask,
    )
    names = None
    if args.list:
        names = read_list(args.list, known=find_images(args.images, args.out))
    report = import_masks(
        args.masks,
        args.images,
        tags,
        args.out,
        settings,
        pseudo=args.pseudo,
        names=names,
        mask_suffix=args.mask_suffix,
        workers=args.workers,
        overwrite=args.overwrite,
        progress=True,
    )
    print(report_table(report))
    print(*report_lines(report), sep='\n')
    print(f'masks, accepted.txt and report.json are in {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

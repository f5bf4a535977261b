from mmseg.datasets import BaseSegDataset

from mmseg_wsss.registry import DATASETS

CLASSES = (
    'background, person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, '
    'traffic light, fire hydrant, stop sign, parking meter, bench, bird, cat, dog, '
    'horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, '
    'tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, '
    'baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, '
    'fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, '
    'hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, '
    'toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, '
    'toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, '
    'toothbrush'
)


@DATASETS.register_module()
class COCOObjectsDataset(BaseSegDataset):
    """COCO with its 80 object classes and the background, in the order of the ids.

    Arguments are the same as in mmseg's ``BaseSegDataset``.
    ``tools/dataset_converters/coco_objects.py`` writes the masks and lists,
    ``tools/dataset_converters/image_tags.py`` the tags.
    """

    METAINFO = dict(classes=tuple(CLASSES.split(', ')))

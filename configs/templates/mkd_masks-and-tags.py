# MKD on your own images, few of them with masks and others with tags. Edit this block,
# nothing else.
classes = ('background', 'cat', 'dog')  # in the order of their numbers in the masks
labeled_images = 'data/labeled/images'
labeled_masks = 'data/labeled/masks'  # PNG, the same names as the images
img_suffix = '.jpg'  # of the labeled and of the validation images
unlabeled_images = 'data/unlabeled'  # folder of the images, sub-folders included
# Tags of all or some of the unlabeled images: JSON, CSV or text, see docs/data.md.
tag_file = 'data/tags.csv'
# If all images are in one folder: lists of those with masks and of the others (the
# latter is relative to unlabeled_images), as tools/import_masks.py writes them.
labeled_list = ''  # e.g. 'data/imported/accepted.txt'
unlabeled_list = ''  # e.g. '../imported/others.txt'
# Tags of the images with masks: by default the classes in their masks. If masks lack
# objects, give a tag file; otherwise these objects count as absent for the classifier.
labeled_tags = None  # e.g. tag_file
margin = None  # for noisy tags, e.g. 2.0: lowers the logits of classes without a tag
# Probability below which the classifier removes a class from a prediction, chosen by
# tools/misc/prediction_filter_threshold.py after the training.
prediction_thr = None
max_iters = 30000
# Optional validation set: images and masks with the same names. The masks are PNG files
# with the number of the class in each pixel: 0 for the first of `classes`, and so
# on, 255 for pixels without a label.
val_images = None  # e.g. 'data/val/images'
val_masks = None  # e.g. 'data/val/masks'

_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/image_folder_semi.py',
    '../_base_/schedules/semi_sgd.py',
    '../_base_/default_runtime.py',
]
segmentor = _base_.segmentor
segmentor.decode_head.num_classes = len(classes)
labeled_pipeline = [
    dict(type='LoadImageStrict'),
    dict(type='LoadAnnotationsStrict', num_classes=len(classes)),
    *_base_.geometry,
    dict(type='SemiMultiBranch', sup=_base_.sup_view),
]
train_dataloader = dict(
    dataset=dict(
        labeled=dict(
            data_prefix=dict(img_path=labeled_images, seg_map_path=labeled_masks),
            img_suffix=img_suffix,
            ann_file=labeled_list,
            metainfo=dict(classes=classes),
            pipeline=labeled_pipeline,
        ),
        unlabeled=dict(
            data_root=unlabeled_images,
            ann_file=unlabeled_list,
            pipeline=_base_.mkd_pipeline,
        ),
        tags=dict(path=tag_file),
        labeled_tags=dict(path=labeled_tags) if labeled_tags else None,
    )
)
if val_images is None:
    val_cfg = None
    test_dataloader = dict(
        dataset=dict(data_root=unlabeled_images, metainfo=dict(classes=classes))
    )
    test_evaluator = []
else:
    val_dataloader = _base_.validation
    val_dataloader.dataset.update(
        data_prefix=dict(img_path=val_images, seg_map_path=val_masks),
        img_suffix=img_suffix,
        metainfo=dict(classes=classes),
    )
    test_dataloader = val_dataloader
    val_evaluator = test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
model = dict(
    type='MKD',
    segmentor=segmentor,
    semi_train_cfg=dict(tag_filter=dict(margin=margin), class_aware_ce=False),
    cam_head=dict(type='CAMHead', in_channels=2048, num_classes=len(classes) - 1),
)
if prediction_thr is not None:
    model['semi_test_cfg'] = dict(prediction_filter=dict(thr=prediction_thr))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=2000)
custom_hooks = [*_base_.runtime_hooks, dict(type='MeanTeacherHook', decay=0.99)]

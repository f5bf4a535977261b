# A network of the masks and a classifier of the tags on the MobileNetV2 of the CAM
# runs: the first stage of pipelines of images with tags, some of which have masks.
_base_ = './cam_mobilenet-v2.py'
model = dict(
    type='CAMSeg',
    masks_only=True,
    decode_head=_base_.head,
    loss_seg=dict(type='ValidCrossEntropyLoss'),
)

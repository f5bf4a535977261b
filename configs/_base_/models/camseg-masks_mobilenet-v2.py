# A network supervised by masks and a classifier supervised by tags, on the MobileNetV2
# of the CAM runs: the first stage of pipelines for images with tags, some with masks.
_base_ = './cam_mobilenet-v2.py'
model = dict(
    type='CAMSeg',
    masks_only=True,
    decode_head=_base_.head,
    loss_seg=dict(type='ValidCrossEntropyLoss'),
    # Trained on few masks, the head favors the background: strong CAMs outweigh it
    # (compared on voc-mini: docs/results_appendix.md).
    test_cfg=dict(fused_cam=dict(weight=2.0, bg_alpha=4.0)),
)

# For a few dozen masks: with so few objects, plain cross entropy assigns too many
# pixels to the background. mmsegmentation 1.2 does not combine class_weight with
# avg_non_ignore, the OneDL fork does.
_base_ = './deeplabv3plus_mobilenet-v2.py'
segmentor = dict(
    decode_head=dict(
        dropout_ratio=0.5,
        loss_decode=dict(avg_non_ignore=False, class_weight=[0.4] + [1.6] * 20),
    )
)

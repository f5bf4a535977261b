# For a few dozen masks: with so few objects, plain cross entropy calls too much of them
# background. mmsegmentation 1.2 cannot weigh classes where pixels are ignored, the
# OneDL fork can.
_base_ = './deeplabv3plus_mobilenet-v2.py'
model = dict(
    decode_head=dict(
        dropout_ratio=0.5,
        loss_decode=dict(
            _delete_=True,
            type='CrossEntropyLoss',
            use_sigmoid=False,
            class_weight=[0.4] + [1.6] * 20,
        ),
    )
)

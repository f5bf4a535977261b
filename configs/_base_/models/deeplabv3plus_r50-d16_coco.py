_base_ = './deeplabv3plus_r50-d16.py'
num_classes = 81
segmentor = dict(decode_head=dict(num_classes=num_classes))

# A smaller embedding.
_base_ = '../rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
model = dict(cam_head=dict(embed_channels=128))

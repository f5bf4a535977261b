# Prototypes of the other images of the batch alone.
_base_ = '../rcmmam-rcm_wrn38_1xb8-19830_wsss-voc12aug-384.py'
model = dict(memory_size=0)

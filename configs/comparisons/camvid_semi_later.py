# Like camvid_semi.py, but from a network that was trained on the 23 masks until it
# predicts the rare classes: 1200 steps instead of 300.
_base_ = './camvid_semi.py'
starts = dict(masks=dict(max_iters=1200))

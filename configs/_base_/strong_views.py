# Color operations of the strong views of unlabeled images, on RGB.

# MKD's released code: exactly one operation, drawn with these weights.
mkd_strong = [
    dict(
        type='WeightedChoice',
        transforms=[
            dict(
                type='SemiColorJitter',
                brightness=0.5,
                contrast=0.5,
                saturation=0.5,
                hue=0.25,
            ),
            dict(type='SemiGaussianBlur', sigma=(0.1, 2.0), kernel=(3, 7)),
            dict(type='SemiEqualize'),
            dict(type='SemiSolarize', threshold=128),
            dict(type='SemiToGray'),
        ],
        weights=[0.3, 0.5, 0.1, 0.1, 0.5],
    ),
]
# UniMatch and FixMatch: each operation independently, with its own probability.
# Source: Yang et al., UniMatch, https://arxiv.org/abs/2208.09910
unimatch_strong = [
    dict(
        type='RandomApply',
        prob=0.8,
        transforms=[
            dict(
                type='SemiColorJitter',
                brightness=0.5,
                contrast=0.5,
                saturation=0.5,
                hue=0.25,
            )
        ],
    ),
    dict(type='RandomApply', prob=0.2, transforms=[dict(type='SemiToGray')]),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[dict(type='SemiGaussianBlur', sigma=(0.1, 2.0))],
    ),
]

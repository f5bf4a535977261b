"""The label of pixels without a class."""

IGNORE_INDEX = 255  # of padding in mmseg and in our transforms; no loss counts it

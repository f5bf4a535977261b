"""Label of pixels without a class."""

IGNORE_INDEX = 255  # also pads masks in mmseg and our transforms; every loss ignores it

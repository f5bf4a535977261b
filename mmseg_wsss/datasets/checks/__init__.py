"""Check of a data set before training: files, labels, tags, overlaps of splits."""

"""Check of a dataset before training: files, labels, tags, overlaps of splits."""

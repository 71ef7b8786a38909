"""A scanned corpus as a whole: what `assay corpus profile` says of it, each part a dict of plain numbers."""

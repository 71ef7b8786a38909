"""Raw text -> documents with signals, duplicate clusters and splits. `scan.scan` is the one entry."""

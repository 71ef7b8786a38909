"""What is measured of a document, once: `scoring` makes the row, every other file a group of its columns."""

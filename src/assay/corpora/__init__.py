"""What `assay corpus` does: the corpus room's work in a folder of its own, and what is said of it."""

"""`assay law` and `assay mixture`: tables of runs, anybody's, -> laws, mixture models, what follows from them."""

"""model + data -> checkpoint: one loop for every model, and fleets of it."""

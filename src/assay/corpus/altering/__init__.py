"""Documents -> altered copies of them, for experiments."""

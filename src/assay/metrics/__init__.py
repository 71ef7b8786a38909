"""predictions -> numbers with intervals."""

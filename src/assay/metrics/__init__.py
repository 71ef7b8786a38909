"""Predictions -> numbers with intervals. What is judged comes as plain values: this room knows no model."""

"""Scored documents -> what is kept: by rules, one of each cluster, without personal data and evaluation items."""

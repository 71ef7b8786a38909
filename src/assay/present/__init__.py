"""Words, numbers, plots, tables and page parts in both languages; knows nothing of what is shown."""

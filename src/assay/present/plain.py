"""Tables for a terminal: columns of plain text, aligned by the cells that characters take (Chinese ones take two)."""

from __future__ import annotations

from collections.abc import Sequence


def plain_table(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1, notes: int = 0
) -> list[str]:
    """The lines of a table.

    Args:
        texts, notes: so many columns from the left, and from the right, are text and stand to the left; the others are
            numbers.
    """
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for i, cell in enumerate(cells):
            space = " " * (widths[i] - cell_len(cell))
            padded.append(cell + space if i < texts or i >= len(cells) - notes else space + cell)
        return "  ".join(padded).rstrip()

    return [caption, line(columns), line(["-" * width for width in widths]), *map(line, rows)]

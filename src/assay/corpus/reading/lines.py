"""Lines of a file, by blocks, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

LARGEST = 256 << 20  # bytes; a line, JSON value or row longer than this is damage, and is never held in memory
MEND = "mend the row or pass --on-error skip"


def split(blocks: Iterator[bytes], longest: int | None = None) -> Iterator[bytes | int]:
    """Lines without their b"\\n", split on nothing else; of a line with more than `longest` bytes only its length.

    A line that is too long is let go of while it is read, so that memory is bounded by `longest`.
    """
    longest = LARGEST if longest is None else longest
    rest: list[bytes] = []
    length = 0

    def line(last: bytes) -> bytes | int:
        size = length + len(last)
        return b"".join([*rest, last]) if size <= longest else size

    for block in blocks:
        first, *others = block.split(b"\n")
        if others:
            yield line(first)
            rest, length = [], 0
            whole = others[:-1]
            yield from whole if len(block) <= longest else map(line, whole)
            first = others[-1]
        length += len(first)
        if length > longest:
            rest = []
        elif first:
            rest.append(first)
    if length:
        yield line(b"")


def too_long(size: int) -> str:
    return f"a line of {size:,} bytes; more than {LARGEST:,} are not read"

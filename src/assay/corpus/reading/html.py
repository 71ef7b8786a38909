"""The main text of a web page: what its author wrote, without menus, captions, teasers and notices.

    bytes -> encoding (byte-order mark; UTF-8 where it cannot be chance; meta charset; detection) -> characters
          -> refused where browsers would not follow either: nested too deeply, too many tags or attributes
          -> resiliparse's main content, without elements that class names tell to be something else
          -> the element that says that it holds the article, where it has at least half of that
          -> blocks; those that are mostly links go, and stray short lines

Where leaving something out would leave less than half of the text, nothing is left out: a class name says what its
author thought, and is often wrong. benchmarks/html_extraction.py measures all of it.

Extractors: `resiliparse` is the above; `trafilatura` that library's fast mode (extra `html`); `both` takes the shorter
of the two texts, unless it has less than half of the longer one, and then trafilatura's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from html import unescape
from importlib import metadata
from typing import Any, Literal, NamedTuple, get_args

from assay.corpus.reading import decode
from assay.errors import InputError

Extractor = Literal["resiliparse", "trafilatura", "both"]
EXTRACTORS: tuple[Extractor, ...] = get_args(Extractor)
RULES = 1  # raised when the rules below change what they leave of a page

LARGEST_PAGE = 16 << 20  # bytes; a tree takes ten to twenty times as many
_DEEPEST = 512  # browsers nest no deeper (Blink's kMaximumHTMLParserDOMTreeDepth)
_MOST_TAGS = 500_000
_MOST_ATTRIBUTES = 1_000  # of one tag
_MOST_COMPARED = 50_000_000  # each attribute is compared with the others of its tag: a fifth of a second or so


class Unreadable(ValueError):
    """A page that is not read; the message says why."""


# ---- characters

_META = re.compile(rb"<meta[^>]{0,256}?charset\s*+=\s*+[\"']?\s*+([a-zA-Z0-9_:.-]{1,40})", re.IGNORECASE)
_META_WITHIN = 4096  # bytes: the standard says 1,024, and pages that say it later exist
_REPLACED = 0.01  # of a page's characters may be undecodable, as browsers show them, before it is not in this encoding


def characters(data: bytes, encoding: str | None, declared: str | None = None) -> str:
    """A page's bytes as text, in the given `encoding` or the one found; `declared` is what came with the page.

    Where a byte-order mark or the bytes themselves leave no doubt, they count before what was given.

    Raises:
        Unreadable: more than one in a hundred characters cannot be decoded.
    """
    best, fewest, name = "", len(data) + 1, ""
    plainly = decode.marked(data) or decode.is_certainly_utf8(data)
    for name in [encoding] if encoding and not plainly else _encodings(data, declared):
        text = data.decode(name, "replace")
        replaced = text.count("\ufffd") - (data.count(b"\xef\xbf\xbd") if name == "utf-8" else 0)
        if replaced < fewest:
            best, fewest = text, replaced
        if not fewest:
            break
    if fewest > _REPLACED * len(best):
        raise Unreadable(f"not {name}: {fewest:,} of {len(best):,} characters cannot be decoded")
    return best.removeprefix("\ufeff").replace("\0", "")


def _encodings(data: bytes, declared: str | None) -> Iterator[str]:
    """The encodings that a page may have, the likeliest first."""
    from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

    marked = decode.marked(data)
    if marked:
        yield marked
        return
    if decode.is_certainly_utf8(data):  # whatever it declares: pages are often saved as UTF-8 and still say gb2312
        yield "utf-8"
    meta = _META.search(data, 0, _META_WITHIN)
    for label in (declared, meta and meta.group(1).decode("ascii")):
        name = map_encoding_to_html5(label, fallback_utf8=False) if label else None
        if name and not name.lower().startswith("utf-16"):  # where no mark says so, it is a mistake
            yield _wider(name)
    yield _wider(detect_encoding(data) or "utf-8")
    yield "utf-8"


def _wider(name: str) -> str:
    """GB 2312 and GBK are read as the GB 18030 that holds them both."""
    return "gb18030" if name.lower().replace("-", "") in ("gbk", "gb2312") else name


# ---- what is not read

_TAG = re.compile(
    r"<(?:(!--)|(/?)([a-zA-Z][^\s/>]*+)"
    r"((?:[^\"'>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+|[\"'])*+))"
)
_QUOTED = re.compile(r"=\s*+(?:\"[^\"]*+\"|'[^']*+')")
_SEPARATORS = re.compile(r"[\s/\"']+")
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr frame".split())
# Elements that a new one of their kind or their parent's end closes: many stand unclosed side by side.
_CLOSED_BY_OTHERS = frozenset(
    "p li dt dd tr td th thead tbody tfoot option optgroup rt rp rb colgroup caption a nobr body html head".split()
)
_RAW = {  # what stands in these is text, to their end
    name: re.compile(f"</{name}", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "xmp", "noembed", "noframes", "iframe")
}


def _bounded(page: str) -> None:
    """Refuse what would take a parser time or memory beyond all measure; itself takes linear time.

    Raises:
        Unreadable: the page is one of these.
    """
    tags = compared = position = 0
    open_tags: list[str] = []
    count: Counter[str] = Counter()
    while match := _TAG.search(page, position):
        position = match.end()
        comment, end, name, attributes = match.groups()
        if comment:
            closing = page.find("-->", position)
            position = len(page) if closing < 0 else closing
            continue
        tags += 1
        name = name.lower()
        if len(attributes) > 100:
            n = len(_SEPARATORS.split(_QUOTED.sub("=", attributes)))
            compared += n * n
            if n > _MOST_ATTRIBUTES or compared > _MOST_COMPARED:
                raise Unreadable(f"a tag with {n:,} attributes, after {tags:,} others")
        if end:
            while count[name]:
                last = open_tags.pop()
                count[last] -= 1
                if last == name:
                    break
        elif name in _RAW:
            closed = _RAW[name].search(page, position)
            position = closed.start() if closed else len(page)
        elif name not in _VOID and name not in _CLOSED_BY_OTHERS:
            if attributes.endswith("/") and (count["svg"] or count["math"] or name == "svg"):
                continue
            open_tags.append(name)
            count[name] += 1
            if len(open_tags) > _DEEPEST:
                raise Unreadable(f"tags nested more than {_DEEPEST} deep")
        if tags > _MOST_TAGS:
            raise Unreadable(f"more than {_MOST_TAGS:,} tags")


# ---- what is no main text

_NOT_MAIN = (
    "h1 header footer nav aside figure figcaption button iframe [hidden] "
    "[class*=caption] [class*=related] [class*=newsletter] [class*=share] [class*=promo] [class*=credit] "
    "[class*=gallery] [class*=tags] [class*=date] [class*=recommend] [class*=social] [class*=breadcrumb] "
    "[class*=footer] [class*=signup] [class*=photo] [class*=title] [class*=headline] [class*=copyright] "
    "[class*=teaser] [class*=byline] [class*=disclaimer]"
).split()
_SELDOM_MAIN = (  # each of these words holds the whole article on some page
    "form [class*=author] [class*=more] [class*=slide] [class*=button] [class*=tweet] [class*=sidebar] "
    "[class*=widget] [class*=video] [class*=header] [class*=popup]"
).split()
_BODIES = tuple(  # elements that say that they hold the article, the surest first
    f"[{place} i]"
    for place in (
        "itemprop=articleBody class*=article-body class*=articleBody class*=article_body class*=article__body "
        "id*=article-body id*=articleBody class*=story-body class*=storybody class*=story-text class*=post-body "
        "class*=post_body class*=entry-content class*=post-content class*=post_content class*=article-content "
        "class*=articlecontent class*=article__content class*=article_content class*=story-content "
        "class*=article-text class*=articletext class*=body-copy class*=body-text class*=field-name-body "
        "itemprop=text id=artibody id=js_content class*=rich_media_content class*=TRS_Editor"
    ).split()
)
_MOST_BODIES = 50  # an element that is there so often holds no article
_LEAST_BODY = 250  # characters
_OPTIONS: dict[str, Any] = {
    "alt_texts": False,
    "comments": False,
    "post_meta": False,
    "links": True,
    "preserve_formatting": "minimal_html",
}


class Block(NamedTuple):
    """A paragraph, heading, list item or loose line; `linked` counts the characters that are links."""

    kind: str
    text: str
    linked: int


def main_text(
    data: bytes, encoding: str | None, extractor: Extractor = "resiliparse", *, declared: str | None = None
) -> str:
    """The main text of a page; "" where it has none. Paragraphs are set apart by blank lines.

    Raises:
        Unreadable: it is too large, too deeply nested, or in no encoding that can be told.
        InputError: the extractor is not installed.
    """
    if len(data) > LARGEST_PAGE:
        raise Unreadable(f"a page of more than {LARGEST_PAGE:,} bytes")
    page = characters(data, encoding, declared)
    _bounded(page)
    if extractor == "resiliparse":
        return _by_rules(page)
    theirs = _by_trafilatura(page)
    if extractor == "trafilatura":
        return theirs
    ours = _by_rules(page)
    shorter, longer = sorted((_letters(ours), _letters(theirs)))
    return ours if 2 * shorter >= longer and _letters(ours) < _letters(theirs) else theirs


# <title/> ends itself in XHTML; a reader of HTML would take all that follows for the title.
_ENDS_ITSELF = re.compile(r"<([a-zA-Z][\w:.-]*)((?:\s[^<>]*)?)/>")


def visible_text(data: bytes, encoding: str | None, *, xhtml: bool = False) -> str:
    """All text of a page, as a chapter of a book is one.

    Raises:
        Unreadable: as `main_text` does.
    """
    if len(data) > LARGEST_PAGE:
        raise Unreadable(f"a page of more than {LARGEST_PAGE:,} bytes")
    page = characters(data, encoding)
    if xhtml:
        page = _ENDS_ITSELF.sub(lambda m: m[0] if m[1].lower() in _VOID else f"<{m[1]}{m[2]}></{m[1]}>", page)
    _bounded(page)
    return _joined(_blocks(page, main=False, without=()))


def needs(extractor: str) -> None:
    """Whether what an extractor needs is installed.

    Raises:
        InputError: it is not; the remedy says what to install.
    """
    if extractor != "resiliparse":
        try:
            import trafilatura  # noqa: F401
        except ImportError as error:
            remedy = 'pip install "assay[html]"'
            raise InputError(f"trafilatura is not installed ({error})", where="--html", remedy=remedy) from error


def versions(extractor: str) -> dict[str, str | int]:
    """What the text of a page depends on, besides the page."""
    libraries = ["resiliparse"] if extractor == "resiliparse" else ["resiliparse", "trafilatura"]
    return {"rules": RULES, **{name: metadata.version(name) for name in libraries}}


def _by_trafilatura(page: str) -> str:
    needs("trafilatura")
    import trafilatura

    # The fast mode is also the better one: without it trafilatura asks two more algorithms, and takes their answer on
    # pages that it had right.
    return trafilatura.extract(page, fast=True, include_comments=False) or ""


def _by_rules(page: str) -> str:
    from resiliparse.parse.html import HTMLTree

    tree = HTMLTree.parse(page)
    whole = _filtered(tree, main=True)
    wanted = max(_LEAST_BODY, _length(whole) / 2)
    for body in _bodies(tree):
        made = _filtered(HTMLTree.parse(body), main=False)
        if _length(made) >= wanted:
            return _joined(made)
    return _joined(whole)


def _bodies(tree: Any) -> Iterator[str]:
    """The HTML of elements that say that they hold the article; those that say it alike are one."""
    if tree.document is None:
        return
    for selector in _BODIES:
        found = tree.document.query_selector_all(selector)
        if not 0 < len(found) <= _MOST_BODIES:
            continue
        outer: list[Any] = []
        for element in found:
            if not any(_within(element, other) for other in outer[-1:]):
                outer.append(element)
        yield "\n".join(
            dict.fromkeys(element.html for element in outer)
        )  # some are there twice, for two sizes of screen


def _within(element: Any, other: Any) -> bool:
    while element is not None:
        if element == other:
            return True
        element = element.parent
    return False


def _filtered(tree: Any, *, main: bool) -> list[Block]:
    """The blocks that are left when all rules were asked; a rule that takes too much is not heeded."""
    blocks = _blocks(tree, main=main, without=())
    fewest = _blocks(tree, main=main, without=[*_NOT_MAIN, *_SELDOM_MAIN])
    if _length(fewest) < 0.6 * _length(blocks):  # else the step between cannot be less, either
        blocks = _unless_less(_blocks(tree, main=main, without=_NOT_MAIN), 0.5, blocks)
    blocks = _unless_less(fewest, 0.6, blocks)
    blocks = _unless_less([b for b in blocks if not _links(b)], 0.4, blocks)
    return _unless_less([b for b in blocks if not _stray(b)], 0.5, blocks)


def _unless_less(fewer: list[Block], least: float, blocks: list[Block]) -> list[Block]:
    return fewer if _length(fewer) >= least * _length(blocks) else blocks


_ENDS = frozenset(".!?…。！？;:；：\"'”’」』)）]】")


def _links(block: Block) -> bool:
    """Whether a block is mostly links: long paragraphs may be."""
    return 2 * block.linked > len(block.text) and not (block.kind == "p" and _width(block.text) > 150)


def _stray(block: Block) -> bool:
    """Whether a block is a short line outside of every paragraph, list and heading, and no sentence."""
    return not block.kind and _width(block.text) < 40 and block.text[-1] not in _ENDS


def _width(text: str) -> int:
    """Characters; one of East Asia counts as three, since it says as much."""
    return len(text) if text.isascii() else sum(3 if "\u2e7f" < c < "\uffff" else 1 for c in text)


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _length(blocks: Iterable[Block]) -> int:
    return sum(len(block.text) + 2 for block in blocks)


# ---- blocks, from the reduced HTML that resiliparse writes

_PARTS = re.compile(r"(<pre>.*?</pre>|</?(?:h[1-6]|p|li|ul|ol)>|(?<!<br>)\n+)", re.DOTALL)
_LINK = re.compile(r"<a\b[^>]*>(.*?)</a>", re.DOTALL)
_ANY_TAG = re.compile(r"<[^>]*>")


def _blocks(page: Any, *, main: bool, without: Iterable[str]) -> list[Block]:
    from resiliparse.extract.html2text import extract_plain_text

    markup = extract_plain_text(page, main_content=main, skip_elements=list(without) or None, **_OPTIONS)
    made: list[Block] = []
    kind = ""
    for part in _PARTS.split(markup):
        if part.startswith("<pre>"):
            code = _plain(part).strip("\n")
            if code.strip():
                made.append(Block("pre", code, 0))
        elif _PARTS.fullmatch(part):
            if not part.startswith("\n"):
                kind = "" if part.startswith("</") else part[1:-1]
        else:
            lines = (" ".join(line.split()) for line in _plain(part).split("\n"))
            text = "\n".join(line for line in lines if line)
            if text:
                made.append(Block(kind, text, sum(len(_plain(link)) for link in _LINK.findall(part))))
    return made


def _plain(markup: str) -> str:
    return unescape(_ANY_TAG.sub("", markup))


def _joined(blocks: list[Block]) -> str:
    """Blocks as text: items of a list line by line, all else with a blank line between."""
    made: list[str] = []
    before = ""
    for kind, text, _ in blocks:
        made.append("" if not made else "\n" if kind == before == "li" else "\n\n")
        made.append(f"- {text}" if kind == "li" else text)
        before = kind
    return decode.printable("".join(made))

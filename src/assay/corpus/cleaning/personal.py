"""Personal data and secrets in a text: candidates by their form, then what their form alone cannot tell.

    text -> full-width digits and letters as plain ones (one to one, so that places stay)
         -> for each kind: candidates by a pattern, checked (checksum, date, issuer, range, what stands before);
            patterns of numbers go over what stands near digits only
         -> places that do not overlap; where two kinds claim one, the earlier in KINDS has it

Every pattern goes over the text once: repetitions are bounded, or run over a class that what follows cannot begin
begin with, and none stands within another; so the time grows with the length of the text, whatever the text is. Where
they begin with a character that is searched for fast, what must not stand before it is asked after it.
What surrounds a number is ASCII for these purposes: Chinese needs no space before a number.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import numpy as np

from assay.corpus.text import characters as ch

KINDS = ("secret", "email", "resident_id", "bank_card", "phone", "ip", "social")
"""In the order in which they claim a place."""
PLACEHOLDERS = {kind: f"<{kind.upper()}>" for kind in KINDS}


class Found(NamedTuple):
    """[begin, end) in characters."""

    kind: str
    begin: int
    end: int


Spans = Iterator[tuple[int, int]]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WIDE, _SHIFT = 0xFF00, 0xFEE0  # where full-width forms begin, and how far they are from the plain ones
_TAKEN = np.zeros(0x60, dtype=np.bool_)
_TAKEN[
    [point - 0x20 for point in (*map(ord, "+-.@_:"), *range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B))]
] = True
_HAS_WIDE = re.compile("[０-９＠＋－Ａ-Ｚａ-ｚ]")


def find(text: str, kinds: Collection[str] = KINDS) -> list[Found]:
    """What of these kinds stands in a text, in its order.

    A NUL character ends everything, so that several texts can be searched as one.
    """
    if not text.isascii() and _HAS_WIDE.search(text):
        text = _plain(text)
    begins: list[int] = []
    ends: list[int] = []
    found: list[Found] = []
    numbers = _Near.digits(text) if any(kind in kinds for kind in _OF_NUMBERS) else _NOWHERE
    for kind in KINDS:
        if kind not in kinds:
            continue
        fresh: list[Found] = []
        last = -1
        spans = [span for finder in _FINDERS.get(kind, ()) for span in finder(text)]
        spans += [numbers.place(span) for finder in _OF_NUMBERS.get(kind, ()) for span in finder(numbers.text)]
        for begin, end in sorted(spans):
            at = bisect_right(begins, begin)
            taken = (at and ends[at - 1] > begin) or (at < len(begins) and begins[at] < end)
            if begin >= last and not taken:
                fresh.append(Found(kind, begin, end))
                last = end
        found = sorted([*found, *fresh], key=lambda one: one.begin)
        begins, ends = [one.begin for one in found], [one.end for one in found]
    return found


def _points(text: str) -> ch.U32:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _plain(text: str) -> str:
    points = _points(text).copy()
    wide = np.flatnonzero((points - np.uint32(_WIDE)) < len(_TAKEN))
    wide = wide[_TAKEN[points[wide] - _WIDE]]
    points[wide] -= np.uint32(_SHIFT)
    return points.tobytes().decode("utf-32-le")


class _Near(NamedTuple):
    """What stands near digits in a text, end to end, NUL between; and where each piece begins in it and in the text."""

    text: str
    here: list[int]
    there: list[int]

    @classmethod
    def digits(cls, text: str) -> _Near:
        """Around 7 digits, or 4 runs of them, with gaps of at most 4 characters: fewer make none of the numbers."""
        is_digit = np.zeros(len(text) + 2, dtype=np.bool_)
        is_digit[1:-1] = (_points(text) - np.uint32(0x30)) < 10
        edges = np.flatnonzero(is_digit[1:] != is_digit[:-1])
        begins, ends = edges[::2], edges[1::2]
        if not len(begins):
            return _NOWHERE
        first = np.flatnonzero(np.append(True, begins[1:] - ends[:-1] > _GAP))
        last = np.append(first[1:], len(begins)) - 1
        keep = (np.add.reduceat(ends - begins, first) >= 7) | (last - first >= 3)
        left, right = np.maximum(begins[first[keep]] - _LEFT, 0), np.minimum(ends[last[keep]] + _RIGHT, len(text))
        if not len(left):
            return _NOWHERE
        apart = left[1:] > right[:-1]
        left, right = left[np.append(True, apart)], right[np.append(apart, True)]
        here = np.cumsum(np.append(0, right - left + 1))[:-1]
        pieces = [text[begin:end] for begin, end in zip(left.tolist(), right.tolist(), strict=True)]
        return cls("\0".join(pieces), here.tolist(), left.tolist())

    def place(self, span: tuple[int, int]) -> tuple[int, int]:
        """A span of the pieces as one of the text."""
        at = bisect_right(self.here, span[0]) - 1
        moved = self.there[at] - self.here[at]
        return span[0] + moved, span[1] + moved


_GAP, _LEFT, _RIGHT = 4, 64, 32
_NOWHERE = _Near("", [], [])

# What stands before a number says what it is, where its form does not.
_BEFORE = 24
_CALLED = re.compile(
    r"phone|mobile|\bcell|\btel\b|\bcall|\bfax|whatsapp|contact|电话|電話|手机|手機|联系|聯繫|致电|拨打|传真|热线|座机",
    re.IGNORECASE | re.ASCII,
)
_CARD = re.compile(r"card|\bvisa\b|account|卡|账号|帐号|账户|帳號", re.IGNORECASE | re.ASCII)
_NUMBERED = re.compile(
    r"(?:order|invoice|tracking|serial|isbn|issn|doi|ticket|\bcase|sku|\bid|\bno\.?|number|#"
    r"|订单|訂單|单号|單號|编号|編號|流水号|序列号|货号|条码|书号|批号|版本)[^0-9A-Za-z\0]{0,6}[A-Za-z]{0,2}\Z",
    re.IGNORECASE | re.ASCII,
)
_VERSION = re.compile(
    r"(?:\bversions?|\bver\.?|\bv\.?|\brelease|\bbuild|\bfirmware|\bsections?|\bchapter|版本号?|固件|第|章节?|[A-Za-z]/)"
    r"[^0-9A-Za-z\0]{0,3}\Z",
    re.IGNORECASE | re.ASCII,
)


def _before(text: str, at: int, size: int = _BEFORE) -> str:
    return text[max(0, at - size) : at].rpartition("\0")[2]


def _in_address(text: str, at: int) -> bool:
    """Whether this stands inside of a web address."""
    words = _before(text, at, _LEFT).split()
    return bool(words) and not text[at - 1].isspace() and ("://" in words[-1] or "www." in words[-1])


def _names_something(text: str, at: int, what: re.Pattern[str]) -> bool:
    """Whether what stands before a number says that it is another one (an order's), and not `what`."""
    before = _before(text, at)
    named = _NUMBERED.search(before)
    if not named:
        return not what.search(before) and _in_address(text, at)
    said = [match.end() for match in what.finditer(before[: named.start()])]  # as in "phone number"
    return not said or bool(before[said[-1] : named.start()].strip(" .s"))


_PLAIN = re.compile(r"[0-9A-Za-z_]")


def _alone(text: str, begin: int, end: int) -> bool:
    """Whether no letter, digit or part of a decimal number touches [begin, end)."""
    left, right = text[max(0, begin - 2) : begin], text[end : end + 2]
    if left and (_PLAIN.match(left[-1]) or (left[-1] in ".," and left[:-1].isdecimal() and len(left) > 1)):
        return False
    return not (right and (_PLAIN.match(right[0]) or (right[0] == "." and right[1:].isdecimal())))


# E-mail (RFC 5321: 64 characters before the @, 253 after it)

_AT = re.compile(r"@(?<=[A-Za-z0-9_%+\-]@)(?=[A-Za-z0-9])")
_LOCAL = re.compile(r"[A-Za-z0-9._%+'\-]{1,65}")
_DOMAIN = re.compile(r"[A-Za-z0-9.\-]{4,254}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?")
_TOP = re.compile(r"[A-Za-z]{2,24}|[Xx][Nn]--[A-Za-z0-9\-]{2,59}")
_FILES = _words("png jpg jpeg gif svg webp bmp ico css js ts json html htm md txt py pdf mp3 mp4 zip gz")


def _emails(text: str) -> Spans:
    for at in _AT.finditer(text):
        place = at.start()
        local = _LOCAL.match(text[max(0, place - 65) : place][::-1])
        domain = _DOMAIN.match(text, place + 1)
        if not local or not domain:
            continue
        name = local[0].rstrip(".'%+-")
        labels = domain[0].rstrip(".-").split(".")
        end = place + 1 + len(".".join(labels))
        good = 0 < len(name) <= 64 and ".." not in name and len(labels) > 1 and _TOP.fullmatch(labels[-1])
        if not good or labels[-1].lower() in _FILES or not all(len(x) < 64 and _LABEL.fullmatch(x) for x in labels):
            continue
        if name[::-1] == "git" and text[end : end + 1] in (":", "/"):  # the address of a repository
            continue
        yield place - len(name), end


# Runs of digits: resident IDs, cards, phones written in one

_RUN = re.compile(r"[0-9]+")
_PROVINCES = _words(
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_YEARS = range(1900, 2031)


def is_resident_id(number: str) -> bool:
    """GB 11643: province, a date of birth that there was, and the check digit (ISO 7064, mod 11-2)."""
    if number[:2] not in _PROVINCES or int(number[6:10]) not in _YEARS:
        return False
    try:
        datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def _resident_ids(text: str) -> Spans:
    for run in _RUN.finditer(text):
        begin, end = run.span()
        if end - begin == 17 and text[end : end + 1] in ("X", "x"):
            end += 1
        if end - begin == 18 and _alone(text, begin, end) and is_resident_id(text[begin:end]):
            yield begin, end


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812: the check digit of cards."""
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0


def is_bank_card(digits: str) -> bool:
    """Whether an issuer has numbers of this beginning and length, and the check digit is right."""
    n, two, four, six = len(digits), int(digits[:2]), int(digits[:4]), int(digits[:6])
    issued = (
        (n == 16 and (digits[0] == "4" or 51 <= two <= 55 or 2221 <= four <= 2720))  # Visa, Mastercard
        or (n == 19 and (digits[0] == "4" or four == 9558))  # Visa, ICBC
        or (16 <= n <= 19 and two == 62)  # UnionPay
        or (n == 15 and two in (34, 37))  # American Express
        or (n in (16, 19) and (four == 6011 or two == 65 or 644 <= four // 10 <= 649))  # Discover
        or (n == 16 and 3528 <= four <= 3589)  # JCB
        or (n == 14 and (two in (36, 38) or 300 <= six // 1000 <= 305))  # Diners
    )
    return issued and len(set(digits)) > 3 and passes_luhn(digits)


_CARD_GROUPS = re.compile(
    r"(?<![0-9A-Za-z_])(?<![^0-9][0-9]{4}[ \-])"
    r"(?:[0-9]{4}([ \-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?|3[47][0-9]{2}([ \-])[0-9]{6}\2[0-9]{5})"
    r"(?![0-9A-Za-z_]|[ \-][0-9]{4}(?![0-9]))"
)


def _bank_cards(text: str) -> Spans:
    for run in _RUN.finditer(text):
        begin, end = run.span()
        card = 14 <= end - begin <= 19 and _alone(text, begin, end) and is_bank_card(run[0])
        if card and not _names_something(text, begin, _CARD):
            yield begin, end
    for groups in _CARD_GROUPS.finditer(text):
        if is_bank_card(re.sub(r"[^0-9]", "", groups[0])):
            yield groups.span()


# Telephones

_MOBILE = re.compile(r"1(?:3[0-9]|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])[0-9]{8}")
_AREA = r"0(?:10|2[0-9]|[3-9][0-9]{2})"
_LANDLINE = re.compile(_AREA + r"[2-9][0-9]{6,7}")
_LANDLINE_GROUPS = re.compile(
    r"(?<![0-9A-Za-z_.\-+])(?:\+?86[ \-]?)?(?:[(（]"
    + _AREA
    + r"[)）][ \-]?|"
    + _AREA
    + r"[ \-])[2-9][0-9]{2,3}[ \-]?[0-9]{4}"
    r"(?:[\-转][0-9]{1,6})?(?![0-9A-Za-z_]|[.\-][0-9])"
)
_MOBILE_GROUPS = re.compile(
    r"(?<![0-9A-Za-z_.\-+])(?:(?:00)?86[ \-]?)?1[3-9][0-9]([ \-]?)[0-9]{4}\1[0-9]{4}(?![0-9A-Za-z_]|[.\-][0-9])"
)
_NANP_GROUPS = re.compile(
    r"(?<![0-9A-Za-z_.\-/+])(?:1[\-. ])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[\-.])[2-9][0-9]{2}[\-.][0-9]{4}"
    r"(?![0-9A-Za-z_]|[.\-][0-9])"
)
_INTERNATIONAL = re.compile(r"(?<![0-9A-Za-z_+])(?:\+|00(?=[1-9][0-9]{0,2}[ \-(]))[1-9][0-9 ().\-]{6,24}")
_COUNTRIES = _words(
    """
    1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86
    90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237
    238 239 240 241 242 243 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268
    269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 379 380 381 382
    383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670
    672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 850 852 853 855 856 880 886 960 961
    962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 992 993 994 995 996 998
    """
)
"""ITU-T E.164."""


def _phones_in_one(text: str) -> Spans:
    for run in _RUN.finditer(text):
        begin, end = run.span()
        if not 10 <= end - begin <= 12 or not _alone(text, begin, end) or text[begin - 1 : begin] in ("+", "-"):
            continue
        if text[end : end + 1] == "-" and text[end + 1 : end + 2].isdecimal():
            continue
        mobile = _MOBILE.fullmatch(run[0]) and not _names_something(text, begin, _CALLED)
        if mobile or (_LANDLINE.fullmatch(run[0]) and _CALLED.search(_before(text, begin))):
            yield begin, end


def _phones_in_groups(text: str) -> Spans:
    for groups in _MOBILE_GROUPS.finditer(text):
        if _MOBILE.fullmatch(re.sub("[^0-9]", "", groups[0])[-11:]) and not _names_something(
            text, groups.start(), _CALLED
        ):
            yield groups.span()
    for pattern in (_LANDLINE_GROUPS, _NANP_GROUPS):
        for groups in pattern.finditer(text):
            if not _names_something(text, groups.start(), _CALLED):
                yield groups.span()


def _phones_abroad(text: str) -> Spans:
    for match in _INTERNATIONAL.finditer(text):
        begin = match.start()
        lead = 1 if text[begin] == "+" else 2
        taken = _international(match[0][lead:])
        end = begin + lead + taken
        if taken and not _PLAIN.match(text[end : end + 1]):
            opened = text[begin - 1 : begin] in ("(", "（") and ")" in match[0][:6] and "(" not in match[0][:6]
            yield begin - opened, end  # as in (+86) 10


def _international(text: str) -> int:
    """How many characters of a text that begins with a country's code are a telephone number; 0: it is none."""
    head = text[:3]
    code = next((head[:n] for n in (1, 2, 3) if head[:n] in _COUNTRIES), None)
    if code is None:
        return 0
    places = [i for i, char in enumerate(text) if char.isdecimal()]
    digits = "".join(text[i] for i in places)
    if code == "86":
        national = digits[2:]
        number = _MOBILE.match(national) or _LANDLINE.match(national) or _LANDLINE.match("0" + national)
        count = 2 + min(number.end() if number else 0, len(national))
        return places[count - 1] + 1 if number else 0
    if code == "1":
        good = re.fullmatch(r"1[2-9][0-9]{2}[2-9][0-9]{6}", digits[:11])
        return places[10] + 1 if good and not text[places[10] + 1 : places[10] + 2].isdecimal() else 0
    count = len(digits)
    while count > 15 or (count < len(digits) and places[count] == places[count - 1] + 1):
        count -= 1  # numbers that follow, cut off at a gap
        if count < 8:
            return 0
    gap = re.search(r"[ ().\-]{3,}", text[: places[count - 1] + 1].replace("(0)", "000"))
    if gap:
        count = sum(place < gap.start() for place in places)
    plain = digits[:count].removeprefix(code)
    return places[count - 1] + 1 if count >= 9 and len(plain) >= 6 and len(set(plain)) > 2 else 0


# Addresses of machines

_IPV4 = re.compile(
    r"(?<![0-9A-Za-z_.\-])([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9A-Za-z_]|[.\-][0-9])"
)
_KNOWN = frozenset(("1.1.1.1", "8.8.4.4", "8.8.8.8"))
_MACHINE = re.compile(r"\bip\b|ipv4|address|host|server|dns|ping|地址|服务器|主机|伺服器", re.IGNORECASE | re.ASCII)
_IPV6 = re.compile(r"[23](?<![0-9A-Za-z_:.].)[0-9a-fA-F]{3}:[0-9a-fA-F:]{2,36}+(?![0-9A-Za-z_])")


def _addresses(text: str) -> Spans:
    for match in _IPV4.finditer(text):
        parts = match.groups()
        if any((part[0] == "0" and part != "0") or int(part) > 255 for part in parts):
            continue
        numbered = all(int(part) < 20 for part in parts) and match[0] not in _KNOWN  # as sections are
        if not _public(match[0]) or (numbered and not _MACHINE.search(_before(text, match.start()))):
            continue
        if not _VERSION.search(_before(text, match.start(), 12)):
            yield match.span()


def _long_addresses(text: str) -> Spans:
    for match in _IPV6.finditer(text):
        address = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
        if _public(address):
            yield match.start(), match.start() + len(address)


def _public(address: str) -> bool:
    try:
        made = ipaddress.ip_address(address)
    except ValueError:
        return False
    return made.is_global and not made.is_multicast


# Keys and tokens

_TOKENS = [
    re.compile(rf"{prefix}(?<![0-9A-Za-z_\-]{prefix}){rest}(?![0-9A-Za-z])")
    for prefix, rest in (
        ("AKIA", "[A-Z0-9]{16}"), ("ASIA", "[A-Z0-9]{16}"), ("ghp_", "[A-Za-z0-9]{36}"), ("gho_", "[A-Za-z0-9]{36}"),
        ("ghu_", "[A-Za-z0-9]{36}"), ("ghs_", "[A-Za-z0-9]{36}"), ("ghr_", "[A-Za-z0-9]{36}"),
        ("github_pat_", "[A-Za-z0-9_]{82}"), ("glpat-", r"[A-Za-z0-9_\-]{20}"), ("hf_", "[A-Za-z0-9]{34}"),
        ("xox", r"[abprs]-[A-Za-z0-9\-]{20,120}"), ("AIza", r"[A-Za-z0-9_\-]{35}"),
    )
]  # fmt: skip
_OPENAI = re.compile(r"sk-(?<![0-9A-Za-z_\-]sk-)[A-Za-z0-9_\-]{20,200}+(?![0-9A-Za-z])")
_AWS_SECRET = re.compile(
    r"(?:secret_?access_?key|SECRET_?ACCESS_?KEY|SecretAccessKey|secretAccessKey)[\"']?\s{0,3}[=:]\s{0,3}[\"']?([A-Za-z0-9/+=]{40})"
)
_JWT = re.compile(r"(eyJ(?<![0-9A-Za-z_\-.]eyJ)[A-Za-z0-9_\-]{8,})\.eyJ[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]{16,}")
_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\\]{0,16384}")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")


def _secrets(text: str) -> Spans:
    for pattern in _TOKENS:
        for match in pattern.finditer(text):
            yield match.span()
    for match in _OPENAI.finditer(text):
        kinds = [any(map(test, match[0][3:])) for test in (str.isupper, str.islower)]
        if sum(map(str.isdecimal, match[0])) >= (2 if all(kinds) else 5):
            yield match.span()
    for match in _AWS_SECRET.finditer(text):
        yield match.span(1)
    for match in _JWT.finditer(text):
        if _is_header(match[1]):
            yield match.span()
    for match in _KEY_BEGIN.finditer(text):
        body = _KEY_BODY.match(text, match.end())
        end = body.end() if body else match.end()
        close = _KEY_END.match(text, end)
        yield match.start(), close.end() if close else end


def _is_header(part: str) -> bool:
    """RFC 7515: JSON that names an algorithm."""
    try:
        header = json.loads(base64.urlsafe_b64decode(part[:4096] + "=" * (-len(part[:4096]) % 4)))
    except (ValueError, binascii.Error):
        return False
    return isinstance(header, dict) and "alg" in header


# Accounts that are named as such


def _named(names: str, rest: str) -> list[re.Pattern[str]]:
    """A pattern for each name, not within a longer one in ASCII."""
    return [re.compile((rf"{n}(?<![A-Za-z0-9]{n})" if n.isascii() else n) + rest) for n in names.split()]


_MARK = r"(?P<mark>群号?|号码?|號|账号|帐号| ?ID| ?id)?(?P<between>[\s:：=是为]{0,4})"
_WECHAT = _named(
    "微信 薇信 威信 加V 加v 加微 WeChat Wechat wechat WECHAT weixin Weixin WEIXIN vx VX Vx wx WX",
    _MARK + r"(?P<account>[A-Za-z][A-Za-z0-9_\-]{5,19})(?![A-Za-z0-9_@\-])",
)
_QQ = _named("QQ qq 扣扣 企鹅", _MARK + r"(?P<account>[1-9][0-9]{4,10})(?![0-9A-Za-z_@.%]|[ ]?[万亿个年月人元名])")
_ASKED_TO_ADD = re.compile(r"(?:加|添加|联系|add|my)\s?我?的?\Z", re.IGNORECASE)


def _accounts(text: str) -> Spans:
    for match in (match for pattern in _WECHAT for match in pattern.finditer(text)):
        said = any(char in match["between"] for char in ":：=是为")
        odd = any(not char.isalpha() for char in match["account"])
        asked = odd and _ASKED_TO_ADD.search(_before(text, match.start(), 6))
        if match["mark"] or asked or (said and (odd or not text[match.start()].isascii())):
            yield match.span("account")
    for match in (match for pattern in _QQ for match in pattern.finditer(text)):
        said = any(char in match["between"] for char in ":：=是为")
        if match["mark"] or said or len(match["account"]) >= 6:
            yield match.span("account")


_Finders = dict[str, tuple[Callable[[str], Spans], ...]]
_FINDERS: _Finders = {"secret": (_secrets,), "email": (_emails,), "ip": (_long_addresses,), "social": (_accounts,)}
_OF_NUMBERS: _Finders = {
    "resident_id": (_resident_ids,),
    "bank_card": (_bank_cards,),
    "phone": (_phones_in_one, _phones_in_groups, _phones_abroad),
    "ip": (_addresses,),
}

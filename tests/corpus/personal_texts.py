"""Made-up texts with personal data planted in them, and with what looks like it and is none.

Numbers are made here by the rules of those who issue them, not by the code that finds them: the check digits come from
the definitions, tried out one by one.
"""

from __future__ import annotations

import base64
import json
import random
from typing import NamedTuple

EN = [
    "You can reach her under {} until Friday.", "Contact: {}", "The form says {}, and nothing else was filled in.",
    "Please write it down ({}) before you leave.", "We got {}; it was answered the same day.", "{}",
]  # fmt: skip
ZH = [
    "有事请找我，{}，谢谢。", "登记的是{}，其他没填", "资料：{}。", "他留下了（{}）就走了。", "请记下{}然后回复", "{}",
]  # fmt: skip
FILLER = [
    "The meeting of 2024-03-15 was moved to 14:30.", "Sales rose by 12.5% to 1,234,567 units.", "今天天气不错。",
    "第3章第12节讲的是1998年的经济数据，共计12345.67亿元。", "See pages 123-145 and table 4.2.",
]  # fmt: skip


class Planted(NamedTuple):
    """A text, and the places (kind, begin, end) that are personal data in it."""

    text: str
    places: list[tuple[str, int, int]]


def resident_id(draw: random.Random) -> str:
    area = draw.choice(["110105", "310101", "440305", "510107", "330106", "610102", "230103"])
    day = f"{draw.randint(1940, 2015)}{draw.randint(1, 12):02d}{draw.randint(1, 28):02d}"
    body = f"{area}{day}{draw.randint(1, 999):03d}"
    # ISO 7064: the sum of digit times 2^(its place from the right, the check digit being 0) is 1 modulo 11.
    for check in "0123456789X":
        values = [int(c) if c != "X" else 10 for c in body + check]
        if sum(value * 2**i for i, value in enumerate(reversed(values))) % 11 == 1:
            return body + check
    raise AssertionError


def _luhn(number: str) -> int:
    total = 0
    for i, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if i % 2 else 1)
        total += value // 10 + value % 10
    return total % 10


def bank_card(draw: random.Random) -> str:
    prefix, size = draw.choice(
        [("622202", 19), ("621700", 19), ("622588", 16), ("4", 16), ("52", 16), ("37", 15), ("6011", 16), ("3530", 16)]
    )
    body = prefix + "".join(draw.choices("0123456789", k=size - len(prefix) - 1))
    return next(body + check for check in "0123456789" if _luhn(body + check) == 0)


def _digits(draw: random.Random, n: int) -> str:
    return "".join(draw.choices("0123456789", k=n))


def _mobile(draw: random.Random) -> str:
    return draw.choice(["138", "139", "150", "159", "177", "186", "191", "199"]) + _digits(draw, 8)


def _other_digit(number: str, at: int, draw: random.Random) -> str:
    return number[:at] + str((int(number[at]) + draw.randint(1, 9)) % 10) + number[at + 1 :]


def _letters(draw: random.Random, n: int, alphabet: str = "abcdefghijklmnopqrstuvwxyz") -> str:
    return "".join(draw.choices(alphabet, k=n))


MIXED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def email(draw: random.Random) -> str:
    local = draw.choice([_letters(draw, 6), f"{_letters(draw, 4)}.{_letters(draw, 7)}", f"{_letters(draw, 5)}_19"])
    return f"{local}@{draw.choice(['gmail.com', 'qq.com', '163.com', 'mail.example.ac.uk', 'sub-domain.org.cn'])}"


def phone(draw: random.Random) -> str:
    m, d = _mobile(draw), _digits(draw, 12)
    area, exchange = draw.choice(["415", "212", "646"]), draw.choice(["555", "234", "867"])
    return draw.choice([
        m, m, f"{m[:3]}-{m[3:7]}-{m[7:]}", f"+86 {m}", f"+86-{m[:3]}-{m[3:7]}-{m[7:]}", f"010-6{d[:7]}",
        f"(0755){8}{d[:7]}", f"0571-8{d[:3]} {d[3:7]}", f"({area}) {exchange}-{d[:4]}", f"{area}-{exchange}-{d[:4]}",
        f"+1 {area} {exchange} {d[:4]}", f"+1-{area}-{exchange}-{d[:4]}", f"+44 20 79{d[:2]} {d[2:6]}",
        f"+49 30 {2 + int(d[0]) % 7}{d[1:3]}{d[3:7]}4", "+33 1 42 68 53 " + d[:2], f"+81 3-{3}{d[:3]}-{d[3:7]}",
    ])  # fmt: skip


def ip(draw: random.Random) -> str:
    first, second = draw.choice([8, 23, 47, 114, 61, 139]), draw.randint(20, 250)
    four = f"{first}.{second}.{draw.randint(0, 255)}.{draw.randint(1, 254)}"
    six = f"2{draw.choice(['001', '400', '607', 'a00'])}:4860:{draw.randint(4096, 9999)}::{draw.randint(1, 9999)}"
    return draw.choice([four, four, six])


def secret(draw: random.Random) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps({"sub": _digits(draw, 10)}).encode()).decode().rstrip("=")
    return draw.choice([
        "AKIA" + _letters(draw, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), "ghp_" + _letters(draw, 36, MIXED),
        "sk-" + _letters(draw, 48, MIXED), "sk-proj-" + _letters(draw, 60, MIXED + "_"),
        f"{header}.{body}.{_letters(draw, 43, MIXED)}",
        "-----BEGIN RSA PRIVATE KEY-----\n" + _letters(draw, 64, MIXED) + "\n" + _letters(draw, 20, MIXED)
        + "==\n-----END RSA PRIVATE KEY-----",
    ])  # fmt: skip


def social(draw: random.Random) -> tuple[str, str]:
    """What stands before an account, and the account."""
    qq = str(draw.randint(1, 9)) + _digits(draw, 8)
    wechat = _letters(draw, 5) + draw.choice(["_", ""]) + _digits(draw, 3)
    return draw.choice([
        ("微信号：", wechat), ("微信：", wechat), ("加微信 ", wechat), ("WeChat ID: ", wechat), ("wechat: ", wechat),
        ("QQ：", qq), ("QQ号", qq), ("QQ: ", qq), ("qq群:", qq), ("VX: ", wechat), ("微信号是", wechat),
    ])  # fmt: skip


POSITIVE = {
    "secret": secret, "email": email, "resident_id": resident_id, "bank_card": bank_card, "phone": phone, "ip": ip,
    "social": social,
}  # fmt: skip


def near_miss(draw: random.Random) -> tuple[str, str]:
    """A kind, and what looks like it and is none."""
    m, card, person = _mobile(draw), bank_card(draw), resident_id(draw)
    isbn = "978" + _digits(draw, 9)
    check = (10 - sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(isbn)) % 10) % 10
    return draw.choice([
        ("resident_id", _other_digit(person, 16, draw)),  # wrong check digit, as long as it is the last but one
        ("resident_id", person[:10] + "1332" + person[14:]),  # no such day
        ("bank_card", _other_digit(card, len(card) - 1, draw)),
        ("bank_card", f"9{card[1:]}"),  # no such issuer
        ("bank_card", f"ISBN {isbn}{check}"),
        ("bank_card", _digits(draw, 13)),
        ("phone", f"ISBN 978-7-{_digits(draw, 3)}-{_digits(draw, 5)}-{check}"),
        ("phone", f"订单号：{m}"),
        ("phone", f"order no. {m}"),
        ("phone", f"12{_digits(draw, 9)}"),  # no such operator
        ("phone", f"0.{m}"),
        ("phone", f"{m}{_digits(draw, 3)}x"),
        ("phone", f"2023-{_digits(draw, 2)}-{_digits(draw, 4)}"),
        ("phone", f"https://example.com/item/{m}.html"),
        ("ip", f"192.168.{draw.randint(0, 255)}.{draw.randint(1, 254)}"),
        ("ip", f"10.{draw.randint(0, 255)}.{draw.randint(0, 255)}.1"),
        ("ip", "127.0.0.1"),
        ("ip", f"172.16.{draw.randint(0, 255)}.7"),
        ("ip", f"version {draw.randint(1, 20)}.{draw.randint(0, 30)}.{draw.randint(0, 9)}.{draw.randint(0, 9)}"),
        ("ip", f"版本 {draw.randint(1, 20)}.2.{draw.randint(0, 9)}.4"),
        ("ip", f"{draw.randint(256, 999)}.12.13.14"),
        ("ip", f"fe80::{draw.randint(1, 9999)}"),
        ("ip", "2001:db8::8a2e:370:7334"),
        ("ip", f"{draw.randint(10, 23)}:{draw.randint(10, 59)}:{draw.randint(10, 59)}"),
        ("email", f"{_letters(draw, 6)}@{_letters(draw, 8)}"),
        ("email", f"icon_{_letters(draw, 3)}@2x.png"),
        ("email", "git@github.com:someone/something"),
        ("email", f"@{_letters(draw, 8)}.com"),
        ("secret", f"sk-{_letters(draw, 6)}-{_letters(draw, 8)}-{_letters(draw, 9)}"),
        ("secret", "-----BEGIN PUBLIC KEY-----\n" + _letters(draw, 64, MIXED) + "\n-----END PUBLIC KEY-----"),
        ("secret", f"AKIA{_letters(draw, 10)}"),
        ("secret", f"eyJ{_letters(draw, 12)}"),
        ("social", f"微信公众号{_letters(draw, 8)}"),
        ("social", "WeChat Payments were down"),
        ("social", f"QQ {draw.randint(100, 900)}万用户"),
        ("social", f"QQ {draw.randint(2000, 2024)}"),
    ])  # fmt: skip


def planted(seed: int) -> Planted:
    """A text of a few sentences, in one of both languages, with one place planted and one that is none."""
    draw = random.Random(seed)
    carriers = draw.choice([EN, ZH])
    kind = draw.choice(list(POSITIVE))
    made = POSITIVE[kind](draw)
    before, value = made if isinstance(made, tuple) else ("", made)
    head, tail = draw.choice(carriers).split("{}")
    sentences = [draw.choice(FILLER), draw.choice(carriers).format(near_miss(draw)[1]), draw.choice(FILLER)]
    draw.shuffle(sentences)
    at = draw.randint(0, 3)
    front = "\n".join([*sentences[:at], head]) + before
    text = front + "\n".join([value + tail, *sentences[at:]])
    return Planted(text, [(kind, len(front), len(front) + len(value))])

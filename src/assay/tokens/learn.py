"""Texts -> the content of a tokenizer.json, by kind; `tokens.tokenizer` opens it.

    bpe         byte-level BPE (Radford et al. 2019) with Qwen2's pattern, which splits digits one by one and treats
                every script's letters alike; can spell any text
    unigram     the pieces of text that make it most likely (Kudo 2018); rare characters are spelled in bytes
    wordpiece   BERT's: words, and their ends marked ##; Chinese one character at a time; unknown words are [UNK]
    character   one token a character; rare ones are spelled in bytes
    word        whole words by frequency, Chinese ones as a segmenter cuts them; rare ones are <|unk|>

Special tokens come first. Id 0 stands before every document: `<|endoftext|>`, or [CLS] as BERT has it. It both ends a
document and begins the next: language models of words use it as BOS and as EOS. Then come those that the caller asks
for (a mask, padding, sentinels), in their order, then those that the kind needs, then bytes, then what was learned.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from assay.errors import InputError
from assay.tokens import words
from assay.tokens.surface import BYTE_PIECES

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Kind = Literal["bpe", "unigram", "wordpiece", "character", "word"]
KINDS: tuple[Kind, ...] = get_args(Kind)

END_OF_TEXT = "<|endoftext|>"
PAD, UNKNOWN, MASK = "<|pad|>", "<|unk|>", "<|mask|>"
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHARACTER_COVERAGE = 0.9995  # of the text, by characters that unigram has pieces for (SentencePiece's default)
LEAST_LEARNED = 16  # ids for something to be learned, besides special tokens and bytes
_KINDS_WITH = {"min_count": ("character", "word"), "lower": ("wordpiece", "word"), "spaces": ("word",)}
_SPECIAL_NAME = re.compile(r"<\|[A-Za-z0-9_]+\|>")


@dataclass(frozen=True)
class Learning:
    """How a tokenizer is learned.

    Attributes:
        kind: one of KINDS.
        vocabulary: number of token ids, special tokens and bytes included. The result can be smaller where the texts
            hold too few different words.
        special: names of special tokens to reserve, such as `<|mask|>`; they get the ids 1, 2, ...
        min_count: a word or a character that the texts hold less often is not learned (`word`, `character`).
        lower: upper and lower case are one, and (`wordpiece`) accents are dropped (`wordpiece`, `word`).
        spaces: words are what stands between spaces, as in text that is cut up already (`word`).
    """

    kind: Kind = "bpe"
    vocabulary: int = 8192
    special: tuple[str, ...] = ()
    min_count: int = 1
    lower: bool = False
    spaces: bool = False

    def __post_init__(self) -> None:
        """Raises InputError for what does not go together."""
        if self.kind not in KINDS:
            raise InputError(f"no kind of tokenizer is called {self.kind!r}", where="--kind", remedy=", ".join(KINDS))
        for name in self.special:
            if not _SPECIAL_NAME.fullmatch(name) or name == END_OF_TEXT:
                raise InputError(
                    f"{name!r} is no name for a special token", where="--special", remedy="write it like <|mask|>"
                )
        if len(set(self.special)) < len(self.special):
            raise InputError("a special token is named twice", where="--special", remedy="name each once")
        for option, kinds in (
            ("min_count", ("character", "word")),
            ("lower", ("wordpiece", "word")),
            ("spaces", ("word",)),
        ):
            if getattr(self, option) != getattr(Learning, option) and self.kind not in kinds:
                raise InputError(
                    f"does not go with --kind {self.kind}", where=f"--{option.replace('_', '-')}",
                    remedy=f"leave it out, or take --kind {' or '.join(kinds)}",
                )  # fmt: skip
        if self.min_count < 1:
            raise InputError(f"is {self.min_count}", where="--min-count", remedy="give 1 or more")
        least = len(self.reserved) + (256 if self.kind in ("bpe", "unigram", "character") else 0) + LEAST_LEARNED
        if self.vocabulary < least:
            raise InputError(f"{self.vocabulary} ids are too few", where="--vocabulary", remedy=f"give {least} or more")

    @property
    def reserved(self) -> list[str]:
        """Names of the special tokens, by id."""
        if self.kind == "wordpiece":
            return ["[CLS]", *self.special, "[PAD]", "[UNK]", "[SEP]", "[MASK]"]
        own = [PAD, UNKNOWN] if self.kind == "word" else []
        return [END_OF_TEXT, *dict.fromkeys([*self.special, *own])]


def train_tokenizer(texts: Iterable[str], vocabulary: int, kind: Kind = "bpe", **options: Any) -> str:
    """Learn from `texts` and return the content of `tokenizer.json`.

    Args:
        texts: a balanced sample; order matters only where counts are equal.
        vocabulary, kind, options: see `Learning`.

    Raises:
        InputError: options that do not go together.
    """
    return learn(texts, Learning(kind, vocabulary, **options))


def learn(texts: Iterable[str], how: Learning) -> str:
    """`train_tokenizer` with its options as a value."""
    make: dict[str, Callable[[Iterable[str], Learning], Tokenizer]] = {
        "bpe": _bpe, "unigram": _unigram, "wordpiece": _wordpiece, "character": _character, "word": _word,
    }  # fmt: skip
    return make[how.kind](texts, how).to_str()


def _bpe(texts: Iterable[str], how: Learning) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=how.vocabulary,
        special_tokens=how.reserved,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _unigram(texts: Iterable[str], how: Learning) -> Tokenizer:
    """Spaces stay what they are and < stands alone: so every text comes back, and none is read as <0x41>."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    texts = list(texts)
    learned = how.vocabulary - len(how.reserved) - len(BYTE_PIECES)
    cut = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("<", "isolated"), pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated")]
    )
    rare = _rare_characters(texts, learned // 2, CHARACTER_COVERAGE)
    learner = Tokenizer(models.Unigram())
    learner.pre_tokenizer = cut
    # The trainer keeps every character that it sees, so rare ones are taken out; a newline ends a word like they do.
    trainer = trainers.UnigramTrainer(
        vocab_size=learned + 1, special_tokens=[END_OF_TEXT], unk_token=END_OF_TEXT, show_progress=False
    )
    learner.train_from_iterator((rare.sub("\n", text) for text in texts), trainer)
    pieces = _in_order(json.loads(learner.to_str())["model"]["vocab"][1:])[:learned]
    scored = [(name, 0.0) for name in (*how.reserved, *BYTE_PIECES)] + pieces
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = cut
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return _with_special(tokenizer, how)


def _in_order(pieces: list[tuple[str, float | None]]) -> list[tuple[str, float]]:
    """The trainer's pieces, the same in every run: it adds numbers up in a random order, and gives the characters that
    it would not have kept the least score and then, one after another in a random order, 0.0001 more each. Of one word
    alone it finds no score (NaN, which JSON writes as null): then the least stands for it."""
    least = min((score for _, score in pieces if score is not None), default=-1.0)
    nearly = least + 1e-4 * sum(len(piece) == 1 for piece, _ in pieces)
    scored = [(p, round(least if s is None or (len(p) == 1 and s <= nearly) else s, 6)) for p, s in pieces]
    return sorted(scored, key=lambda item: (-item[1], item[0]))


def _rare_characters(texts: Sequence[str], most: int, coverage: float = 1.0) -> re.Pattern[str]:
    """What matches the characters beyond the `most` most frequent ones, and beyond those that make up the share
    `coverage` of the text; newlines aside."""
    counts = _counted(texts)
    total, covered = sum(counts.values()), 0
    kept: list[str] = []
    for character, count in counts.items():
        if len(kept) >= most or covered >= coverage * total:
            break
        kept.append(character)
        covered += count
    return re.compile(f"[^{re.escape(''.join(kept))}\n]+")


def _counted(texts: Iterable[str]) -> dict[str, int]:
    """How often each character occurs, the most frequent first, then by code point."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _wordpiece(texts: Iterable[str], how: Learning) -> Tokenizer:
    """Learned in two passes, since the trainer numbers the characters within words as it happens to meet them, and
    breaks ties between pairs by these numbers: the first pass finds them, the second has them in order."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    normalizer = normalizers.BertNormalizer(lowercase=how.lower, strip_accents=how.lower)
    texts = [normalizer.normalize_str(text) for text in texts]
    rare = _rare_characters(texts, how.vocabulary // 2)
    texts = [rare.sub(" ", text) for text in texts]

    def learned(vocabulary: int, first: list[str]) -> dict[str, int]:
        learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        learner.train_from_iterator(
            texts, trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=first, show_progress=False)
        )
        return learner.get_vocab()

    characters = sorted(learned(1, []), key=lambda piece: (piece.startswith("##"), piece))
    vocab = learned(how.vocabulary, [*how.reserved, *characters])
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocab["[SEP]"]), ("[CLS]", vocab["[CLS]"]))
    return _with_special(tokenizer, how)


def _character(texts: Iterable[str], how: Learning) -> Tokenizer:
    """BPE without a merge."""
    from tokenizers import Tokenizer, decoders, models

    first = [*how.reserved, *BYTE_PIECES]
    kept = [character for character, count in _counted(texts).items() if count >= how.min_count]
    vocab = {name: number for number, name in enumerate([*first, *kept[: how.vocabulary - len(first)]])}
    tokenizer = Tokenizer(models.BPE(vocab, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return _with_special(tokenizer, how)


def _with_special(tokenizer: Tokenizer, how: Learning) -> Tokenizer:
    from tokenizers import AddedToken

    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in how.reserved])
    return tokenizer


def _word(texts: Iterable[str], how: Learning) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    if how.lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = words.by_spaces() if how.spaces else words.by_words()
    trainer = trainers.WordLevelTrainer(
        vocab_size=how.vocabulary, min_frequency=how.min_count, special_tokens=how.reserved, show_progress=False
    )
    tokenizer.train_from_iterator(texts if how.spaces else map(words.marked, texts), trainer)
    if not how.spaces:  # then words are joined by spaces, which is what they stood between
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace(Regex(r"^(?=[\p{L}\p{N}(\[{$<])(?!\p{Han})"), " "),
                decoders.Fuse(),
                decoders.Replace(Regex(r"^ |(?<=[\n(\[{$“‘]) "), ""),
            ]
        )
    return tokenizer


def configuration(how: Learning) -> dict[str, Any]:
    """The content of `tokenizer_config.json`, by which transformers knows what the special tokens are for."""
    names = how.reserved
    first = {"cls_token": names[0]} if how.kind == "wordpiece" else {"bos_token": names[0], "eos_token": names[0]}
    roles = {
        "pad_token": ("[PAD]", PAD), "unk_token": ("[UNK]", UNKNOWN), "sep_token": ("[SEP]",),
        "mask_token": ("[MASK]", MASK),
    }  # fmt: skip
    found = {role: next((name for name in wanted if name in names), None) for role, wanted in roles.items()}
    told = first | {role: name for role, name in found.items() if name}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **told,
        "additional_special_tokens": [name for name in names if name not in told.values()],
    }

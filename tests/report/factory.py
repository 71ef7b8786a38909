"""Invented results of a study, for the tests of the page. No number in here was measured."""

from __future__ import annotations

import math
import random
from typing import Any

from assay.impact.claims import Claim, Outcome, Prediction, Text
from assay.impact.results import (
    Baseline,
    BaselineRow,
    Cost,
    Curve,
    CurvePoint,
    DecisionRow,
    DecisionView,
    DosePoint,
    DoseView,
    Effect,
    FilterRow,
    LawView,
    LeakRow,
    MixtureRow,
    MixtureView,
    OrderRow,
    Sample,
    ScaleRow,
    SourceProfile,
    StudyResults,
    TogetherRow,
)

SOURCES = ("shakespeare", "king-james-bible", "三国演义", "人民日报", "python-docs", "python-code")
MANY = (
    *SOURCES,
    "a-source-with-a-rather-long-name-that-someone-took-from-a-folder/2024-07-11_final_v2",
    "中文维基百科与百度知道混合语料（去重后，第二版）",
    "web-crawl",
    "recipes",
    "arxiv",
    "court-rulings",
    "subtitles",
    "tiny",
)
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> & "quoted" \u202e\x00 end'
LEVEL = 0.9


def study(sources: tuple[str, ...] = SOURCES, seed: int = 0, **changes: Any) -> StudyResults:
    """A study of `sources`; `changes` replace whole fields."""
    chance = random.Random(seed)
    floors = {source: 1.1 + 1.1 * chance.random() for source in sources}
    parts: dict[str, Any] = {
        "title": "Starter corpus",
        "command": "assay study builtin:starter --tokens 5e6 --lang en --out study-starter",
        "assay_version": "0.0.0-test",
        "created_at": "2031-02-03 04:05 UTC",
        "fingerprints": {name: f"{chance.getrandbits(128):032x}" for name in ("corpus", "tokenizer", "plan", "ledger")},
        "budget": {"en": "10 min", "zh": "10 分钟"},
        "level": LEVEL,
        "n_seeds": 5,
        "parameters": 812_032,
        "parameters_total": 1_336_320,
        "architecture": {"en": "decoder, 4 layers × width 128, 4 heads", "zh": "解码器，4 层 × 宽 128，4 个注意力头"},
        "tokenizer": {"en": "byte-level BPE, 4,096 tokens", "zh": "字节级 BPE，4,096 个词元"},
        "run_tokens": 1_000_000,
        "false_discovery_rate": 0.05,
        "notices": [
            {
                "en": "17 rows could not be read and were skipped, as asked by --on-error skip.",
                "zh": "按 --on-error skip 的要求，跳过了 17 行无法读取的数据。",
            }
        ],
        "claims": _claims(chance),
        "profile": [_profile(source, chance, len(sources)) for source in sources],
        "skipped": [
            ("starter/README.md", {"en": "no data, by its name", "zh": "文件名表明它不是数据"}),
            ("starter/照片.png", {"en": "binary data", "zh": "二进制数据"}),
        ],
        "bad_rows": 17,
        "bad_files": 1,
        "curves": _curves(floors),
        "baseline": _baseline(floors),
        "law": _law(),
        "doses": [_dose("near_duplicates", 0.05), _dose("character_noise", 0.35)],
        "together": [
            TogetherRow(
                defects=("near_duplicates", "character_noise"),
                dose=0.25,
                effect=Effect(estimate=0.21, interval=(0.19, 0.23), p_value=1e-6, supported=True),
                interaction=Effect(estimate=more, interval=(more - 0.01, more + 0.01), p_value=p, supported=p < 0.01),
                tokens_lost=(0.42, 0.38, 0.47) if p < 0.01 else None,
            )
            for more, p in ((0.03, 0.001), (-0.004, 0.5))
        ],
        "scales": [
            ScaleRow(
                layers=layers,
                width=width,
                parameters=12 * layers * width**2,
                rate=rate,
                bpb=bpb,
                interval=(bpb - 0.01, bpb + 0.01),
                effect=None
                if effect is None
                else Effect(
                    estimate=effect, interval=(effect - 0.01, effect + 0.01), p_value=0.001, supported=effect < -0.02
                ),
            )
            for layers, width, rate, bpb, effect in (
                (2, 64, 0.5, 2.15, 0.05),
                (2, 64, 1.0, 2.10, None),
                (4, 128, 0.5, 1.99, 0.0),
                (4, 128, 1.0, 1.99, -0.11),
            )
        ],
        "leaks": [
            LeakRow(copies=k, effect=Effect(estimate=-g, interval=(-g - 0.01, -g + 0.01), p_value=g, supported=k > 1))
            for k, g in ((1, 0.004), (4, 0.06), (16, 0.41))
        ],
        "orders": [
            OrderRow(order=text, effects=row.effects)
            for text, row in zip(("n_words", "-n_words"), _filters(sources, chance), strict=True)
        ],
        "filters": _filters(sources, chance),
        "decisions": _decisions(sources),
        "mixtures": _mixtures(sources, chance),
        "samples": [sample for source in sources for sample in _samples(source, chance)],
        "cost": _cost(),
    }
    return StudyResults(**(parts | changes))


def one_source() -> StudyResults:
    """A folder with one source: no mixtures to compare."""
    return study(("notes",), mixtures=None, decisions=None)


def fourteen_sources() -> StudyResults:
    """Many sources, some with long and Chinese names, one hostile."""
    return study((*MANY[:-1], HOSTILE))


def bare() -> StudyResults:
    """A study that could afford next to nothing: no claims, law, doses, mixtures, samples or curves."""
    return study(
        ("notes",),
        claims=[],
        law=None,
        doses=[],
        filters=[],
        decisions=None,
        mixtures=None,
        samples=[],
        curves=[],
        baseline=Baseline(order=5, tokens=40_960, curves=[], rows=[]),
        notices=[],
        skipped=[],
        bad_rows=0,
        bad_files=0,
    )


def all_misses() -> StudyResults:
    """Nothing supported, and every prediction missed."""
    base = study()
    claims = [
        claim.model_copy(
            update={
                "verdict": "indistinguishable",
                "outcome": claim.outcome and Outcome(value=claim.prediction.value + 0.4, verdict="miss"),
            }
        )
        for claim in base.claims
    ]
    return base.model_copy(update={"claims": claims})


def _claim(name: str, kind: str, says: Text, estimate: float, half: float, **changes: Any) -> Claim:
    fields: dict[str, Any] = {
        "id": name,
        "kind": kind,
        "question": Text(en=f"What does {name} change?", zh=f"{name} 会带来什么变化？"),
        "statement": says,
        "unit": "bpb",
        "estimate": estimate,
        "interval": (estimate - half, estimate + half),
        "level": LEVEL,
        "n_seeds": 5,
        "minimum_detectable": half * 1.4,
        "p_value": 0.0004 if abs(estimate) > 2 * half else 0.4,
        "verdict": "supported" if abs(estimate) > 2 * half else "indistinguishable",
        "headline": False,
        "evidence": ["natural", name],
        "registered_at": None,
        "prediction": None,
        "outcome": None,
    }
    return Claim(**(fields | changes))


def _prediction(name: str, says: Text, value: float, half: float, measured: float) -> Claim:
    hit = abs(measured - value) <= half
    return _claim(
        name,
        "prediction",
        says,
        measured,
        half / 2,
        registered_at="2031-02-03T04:01:00Z",
        prediction=Prediction(value=value, interval=(value - half, value + half)),
        outcome=Outcome(value=measured, verdict="hit" if hit else "miss"),
        question=Text(en=f"Prediction of {name}: bpb of the held-out run?", zh=f"{name}：留出运行的 bpb 是多少？"),
        p_value=None,
        minimum_detectable=None,
    )


def _effects() -> list[Claim]:
    return [
        _claim(
            "size/double",
            "size",
            Text(
                en="Twice the training text would lower the mean loss by 0.081 bpb [0.074, 0.088].",
                zh="训练文本增加一倍，平均损失将下降 0.081 bpb [0.074, 0.088]。",
            ),
            -0.081,
            0.007,
            headline=True,
        ),
        _claim(
            "quality/noise-30",
            "quality",
            Text(
                en="Character noise in 30% of the training text raises the loss by 0.062 bpb [0.055, 0.069], "
                "as much as leaving out 38% of the clean text [33%, 43%].",
                zh="在 30% 的训练文本中加入字符噪声，会使损失上升 0.062 bpb [0.055, 0.069]，"
                "相当于少用 38% 的干净文本 [33%, 43%]。",
            ),
            0.062,
            0.007,
            headline=True,
        ),
        _claim(
            "quality/duplicates-30",
            "quality",
            Text(
                en="The effect of near-duplicates in 30% of the training text is indistinguishable from 0: "
                "+0.004 bpb [−0.003, +0.011].",
                zh="训练文本中 30% 近重复的影响与 0 无法区分：+0.004 bpb [−0.003, +0.011]。",
            ),
            0.004,
            0.007,
            headline=True,
        ),
        _claim(
            "distribution/三国演义",
            "distribution",
            Text(
                en="Doubling the share of 三国演义 lowers the loss on its own text by 0.21 bpb [0.19, 0.23].",
                zh="《三国演义》占比加倍，会使其自身文本的损失下降 0.21 bpb [0.19, 0.23]。",
            ),
            -0.21,
            0.02,
            headline=True,
        ),
        _claim(
            "distribution/order",
            "distribution",
            Text(
                en="Whether the order of sources matters cannot be answered: every run mixes them evenly.",
                zh="无法回答来源顺序是否重要：每次运行都将各来源均匀混合。",
            ),
            0.0,
            0.0,
            verdict="not identifiable",
            p_value=None,
            minimum_detectable=None,
        ),
    ]


def _predictions() -> list[Claim]:
    return [
        _prediction(
            "size law",
            Text(
                en="At 1.6M tokens the law predicted 1.842 bpb [1.820, 1.864]; measured: 1.851, a hit.",
                zh="规模定律预测 1.6M 词元处为 1.842 bpb [1.820, 1.864]；实测 1.851，命中。",
            ),
            1.842,
            0.022,
            1.851,
        ),
        _prediction(
            "mixture",
            Text(
                en="For the held-out mixture 1.93 bpb [1.91, 1.95] was predicted; measured: 1.96, a miss.",
                zh="对留出配比的预测为 1.93 bpb [1.91, 1.95]；实测 1.96，未命中。",
            ),
            1.93,
            0.02,
            1.96,
        ),
    ]


def _claims(chance: random.Random) -> list[Claim]:
    effects = [chance.gauss(0.0, 0.03) for _ in range(14)]
    rest = [
        _claim(
            f"mix/{i}",
            "distribution",
            Text(
                en=f"Mixture {i} changes the mean loss by {x:+.3f} bpb.",
                zh=f"配比 {i} 使平均损失变化 {x:+.3f} bpb。",
            ),
            x,
            0.008,
        )
        for i, x in enumerate(effects)
    ]
    return [*_effects(), *_predictions(), *rest]


def _profile(source: str, chance: random.Random, n: int) -> SourceProfile:
    documents = chance.randint(300, 40_000)
    chinese = any("\u4e00" <= c <= "\u9fff" for c in source)
    return SourceProfile(
        source=source,
        documents=documents,
        bytes=documents * chance.randint(300, 4000),
        share=1 / n,
        train_documents=int(documents * 0.9),
        eval_documents=int(documents * 0.05),
        test_documents=int(documents * 0.05),
        languages={"zh": 0.991, "en": 0.009} if chinese else {"en": 0.97, "la": 0.0213, "de": 0.0087},
        exact_duplicates=chance.random() * 0.02,
        near_duplicates=chance.random() * 0.1,
        median_chars=chance.randint(200, 5000),
        repetition=chance.random() * 0.1,
        letters=0.6 + 0.3 * chance.random(),
        bytes_per_token=2.1 + 2 * chance.random(),
    )


def _bpb(floor: float, tokens: float) -> float:
    return floor + 90 * tokens**-0.36


def _curves(floors: dict[str, float]) -> list[Curve]:
    sizes = [125_000, 250_000, 500_000, 1_000_000, 1_600_000]
    mean = sum(floors.values()) / len(floors)
    curves = []
    for target, floor in {"": mean, **floors}.items():
        points = []
        for tokens in sizes:
            y = _bpb(floor, tokens)
            points.append(CurvePoint(tokens=tokens, bpb=y, interval=(y - 0.02, y + 0.02), held_out=tokens > 1_000_000))
        curves.append(Curve(target=target, points=points))
    return curves


def _law() -> LawView:
    band = []
    for i in range(41):
        tokens = 100_000 * (2_400_000 / 100_000) ** (i / 40)
        spread = 0.008 + 0.012 * abs(math.log(tokens / 400_000))
        y = _bpb(1.6, tokens)
        band.append((tokens, y, y - spread, y + spread))
    points = []
    for i, tokens in enumerate((125_000, 177_000, 250_000, 354_000, 500_000, 707_000, 1_000_000, 1_600_000)):
        y = _bpb(1.6, tokens) + 0.008 * math.sin(3 * i)
        held_out = tokens > 1_000_000
        points.append(CurvePoint(tokens=tokens, bpb=y, interval=(y - 0.015, y + 0.015), held_out=held_out))
    predicted = _bpb(1.6, 1_600_000)
    return LawView(
        model="E + B D^-beta",
        parameters={"E": 1.6, "B": 90.0, "beta": 0.36},
        band=band,
        points=points,
        fitted_from=354_000,
        prediction=(predicted, predicted - 0.03, predicted + 0.03),
        more_data=[(2.0, -0.121, -0.133, -0.11), (4.0, -0.24, -0.27, -0.21), (8.0, -0.31, -0.36, -0.26)],
    )


def _baseline(floors: dict[str, float]) -> Baseline:
    """A 5-gram that is overtaken."""
    curves, rows = [], []
    for target, floor in {"": sum(floors.values()) / len(floors), **floors}.items():
        points = []
        for tokens in (250_000, 1_000_000, 4_000_000):
            y = floor + 1.2 * (tokens / 250_000) ** -0.12
            points.append(CurvePoint(tokens=tokens, bpb=y, interval=(y - 0.01, y + 0.01), held_out=False))
        curves.append(Curve(target=target, points=points))
        y, change = points[1].bpb, -0.3 - 0.1 * floor
        effect = Effect(estimate=change, interval=(change - 0.02, change + 0.02), p_value=1e-9, supported=None)
        rows.append(
            BaselineRow(target=target, bpb=y, interval=(y - 0.08, y + 0.08), model_bpb=y + change, difference=effect)
        )
    return Baseline(order=5, tokens=1_000_000, curves=curves, rows=rows)


def _dose(defect: str, slope: float) -> DoseView:
    points = []
    for dose in (0.05, 0.1, 0.2, 0.4):
        y = slope * dose - 0.002
        points.append(
            DosePoint(
                dose=dose,
                effect=Effect(estimate=y, interval=(y - 0.01, y + 0.01), p_value=0.01, supported=y > 0.02),
                tokens_lost=(1.6 * dose, 1.2 * dose, 2.1 * dose) if dose < 0.4 else None,
            )
        )
    note = {
        "en": f"Planted: {defect.replace('_', ' ')}, in documents chosen by seed.",
        "zh": f"植入方式：{'近重复' if 'dup' in defect else '字符噪声'}，由随机种子选取文档。",
    }
    return DoseView(defect=defect, points=points, note=note)


def _filters(sources: tuple[str, ...], chance: random.Random) -> list[FilterRow]:
    rows = []
    for name, share in (("gopher-quality+c4", 0.62), ("n_words > 100 AND <b>bold</b>", 0.04)):
        effects = {}
        for target in ("", *sources):
            y = chance.gauss(-0.01, 0.02)
            effects[target] = Effect(estimate=y, interval=(y - 0.01, y + 0.01), p_value=0.1, supported=abs(y) > 0.02)
        kept = {source: share * chance.random() for source in sources}
        rows.append(FilterRow(name=name, kept=kept, share=share, effects=effects, against_natural=effects[""]))
    return rows


def _decisions(sources: tuple[str, ...]) -> DecisionView:
    effect = Effect(estimate=-0.01, interval=(-0.02, 0.0), p_value=0.1, supported=None)
    rows = [
        DecisionRow(
            cell=f"up:{source}", label={"en": f"more {source}", "zh": f"更多 {source}"}, effect=effect, best=0.3,
            best_at_target=0.2, better_at_target=0.7,
        )
        for source in sources
    ]  # fmt: skip
    natural = DecisionRow(
        cell="natural", label={"en": "natural", "zh": "自然"}, effect=None, best=0.1, best_at_target=0.2,
        better_at_target=None,
    )  # fmt: skip
    return DecisionView(
        run_tokens=80_000, half_tokens=40_000, target_tokens=9_000_000, rows=[*rows, natural], pairs=6, agreed=5,
        interval=(0.6, 1.0), separated=0, separated_agreed=0,
        advice=[{"en": "Keep the mixture as it is.", "zh": "保持现有配比。"}],
    )  # fmt: skip


def _mixtures(sources: tuple[str, ...], chance: random.Random) -> MixtureView:
    natural = {source: 1 / len(sources) for source in sources}
    rows = [_mixture("uniform", {"en": "Uniform", "zh": "均匀"}, natural, None, chance)]
    for source in sources:
        label = {"en": f"{source} doubled", "zh": f"{source} 加倍"}
        rows.append(_mixture(f"up-{source}", label, natural, source, chance))
    held_out = _mixture("test", {"en": "Optimum", "zh": "最优配比"}, natural, None, chance)
    rows.append(held_out.model_copy(update={"held_out": True}))
    return MixtureView(
        sources=list(sources),
        natural=natural,
        baseline_bpb={"": 1.87, **{source: 1.2 + chance.random() for source in sources}},
        rows=rows,
    )


def _mixture(
    cell: str,
    label: dict[str, str],
    natural: dict[str, float],
    up: str | None,
    chance: random.Random,
) -> MixtureRow:
    effects = {}
    for target in ("", *natural):
        y = -0.15 - 0.08 * chance.random() if target and target == up else chance.gauss(0.008, 0.012)
        effects[target] = Effect(estimate=y, interval=(y - 0.012, y + 0.012), p_value=0.02, supported=abs(y) > 0.016)
    return MixtureRow(
        cell=cell,
        label=label,
        weights={s: w * (2 if s == up else 0.9) for s, w in natural.items()},
        epochs={s: 0.4 + chance.random() for s in natural},
        effects=effects,
        held_out=False,
    )


def _samples(source: str, chance: random.Random) -> list[Sample]:
    chinese = any("\u4e00" <= c <= "\u9fff" for c in source)
    plain = (
        "滚滚长江东逝水，浪花淘尽英雄。是非成败转头空。青山依旧在，几度夕阳红。" * 3
        if chinese
        else "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n" * 2
    )
    texts = {
        "lowest": ["-" * 2000, plain],
        "highest": [HOSTILE + " " + plain, "0x7f 4c 1e " * 300],
    }
    return [
        Sample(
            source=source,
            doc_id=f"{chance.getrandbits(128):032x}",
            origin=f"{source}/part-{i}.txt.gz",
            bpb=(0.2 if extreme == "lowest" else 3.1) + chance.random() * 0.4,
            extreme=extreme,
            text=text,
        )
        for extreme, held in texts.items()
        for i, text in enumerate(held)
    ]


def _cost() -> Cost:
    return Cost(
        seconds=583.2,
        seconds_by_stage={"documents": 31.0, "tokenizer": 6.2, "probe": 8.0, "fleet": 512.0, "report": 26.0},
        training_tokens=48_300_000,
        flops=3.9e14,
        energy_joules=17_500,
        energy_how="estimated",
        runs=62,
        peak_memory_bytes=1_730_000_000,
        tokens_per_second=94_300,
        device={"en": "CPU, 2 workers, bfloat16", "zh": "CPU，2 个工作进程，bfloat16"},
    )

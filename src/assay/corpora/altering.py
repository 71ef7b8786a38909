"""`assay corpus clean`, `damage` and `augment`: altered copies of a corpus, and what was changed.

    clean      a scan's folder, or SOURCE... -> OUT/kept/*.parquet
    damage     the same -> OUT/kept/*.parquet, OUT/planted.parquet
    augment    the same, word vectors, translators -> OUT/kept/*.parquet

What is done to a document depends on nothing but the document, the options and the seed, and, where the work needs the
whole corpus (rare words, donors, shares), on a table that is made first. Every step is a stage of the store, done part
by part: a rerun goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.corpora import neighbours
from assay.corpora.cleaning import ending, texts_of
from assay.corpora.scanned import Request, by_groups, by_parts, in_sight
from assay.corpus import documents
from assay.corpus.altering import classical, damage, planted, resample, vocabulary
from assay.corpus.altering.augment import Augmentation, augmented
from assay.corpus.altering.classical import Cleaning
from assay.corpus.altering.counting import overall, summed
from assay.corpus.altering.damage import DEFECTS, PLANTED, Damage
from assay.corpus.altering.parts import Alter, altered_part
from assay.corpus.cleaning import decontaminate
from assay.corpus.reading.source import ReadOptions
from assay.curate import back_translation
from assay.curate.back_translation import Way
from assay.errors import InputError
from assay.present.progress import Progress
from assay.present.words import Both, both
from assay.store import Artifact, Stage, Store, fingerprint
from assay.train.world import device_of
from assay.workspace import Kind, Workspace

ALTERED = Stage("kept", 2)
COUNTED = Stage("word_counts", 1)
FREQUENT = Stage("frequent", 1)
EVIDENCE = Stage("planted", 1)
HOSTS = Stage("hosts", 1)
NEAREST = Stage("neighbours", 1)
BACK_TRANSLATIONS = Stage("back_translations", 1)
_TOLD = ("doc_id", "parent_id", "source", "defect", "what", "removed", "added")
_OFTEN = 4.0  # times that text is repeated without loss (Muennighoff et al. 2023)


@dataclass(frozen=True)
class Mixture:
    """How often text is wanted.

    Attributes:
        weights: `source=2,...` as typed, and `copies` for each document's own; empty: all as they are.
        temperature: None: shares stay.
        over: what the temperature is about.
    """

    weights: str = ""
    temperature: float | None = None
    over: resample.Label = "source"

    @property
    def nothing(self) -> bool:
        """Whether all text is wanted once."""
        return not self.weights and self.temperature is None


@dataclass(frozen=True)
class Prepared:
    """What is done to batches, once what that takes of the whole corpus is there.

    Attributes:
        alter: the function of a batch.
        needs: fingerprints of what it depends on beside the documents, by name.
        notices: what is to be said.
    """

    alter: Alter
    needs: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[Both] = ()


Prepare = Callable[[Artifact, Store, Progress], Prepared]
"""Of the documents, with the store and the progress of the work."""


def _altered(
    request: Request,
    kind: Kind,
    asked: Mapping[str, Any],
    prepare: Prepare,
    schema: pa.Schema = documents.DOCUMENTS,
) -> dict[str, Any]:
    """Alter a corpus in a folder."""
    space = Workspace(request.out, kind)
    progress = Progress(request.language, quiet=request.quiet)
    with space.at_work({**request.identity(), **asked}, request.command, progress):
        texts = texts_of(request, space, progress)
        ready = prepare(texts, space.store, progress)

        def make(folder: Path) -> dict[str, Any]:
            task = partial(altered_part, alter=ready.alter, schema=schema)
            counts = by_parts(texts, ALTERED.name, task, folder, kind, progress)
            return {"sources": dict(sorted(summed(count["sources"] for count in counts).items()))}

        inputs = {"documents": texts.fingerprint, **ready.needs}
        made = space.store.build(ALTERED, inputs, {kind: dict(asked)}, make, resumed=True)
        loose = []
        if schema is PLANTED:
            evidence = partial(_evidence, made.files(".parquet"))
            loose.append(space.store.build(EVIDENCE, {"kept": made.fingerprint}, {}, evidence))
        space.settle(documents=texts.fingerprint)
        in_sight(request.out, [made], loose)
    sources = made.summary["sources"]
    total = overall(sources)
    notices = list(ready.notices)
    if not total["kept"]:
        notices.append(both("corpus.notice.nothing_left"))
    return {**total, "sources": sources, **asked, "notices": notices, **ending(request, [made])}


def run_clean(request: Request, options: Cleaning) -> dict[str, Any]:
    """Clean a corpus as words are counted in it.

    Returns:
        the answer of `--json`: what `classical.cleaned` counts, over all and by source, and more.

    Raises:
        InputError: bad input, nothing is asked for, or the folder holds something else.
    """
    if options.nothing:
        remedy = "say what is to be cleaned, such as --unicode nfc --spaces"
        raise InputError("nothing is asked for", where="assay corpus clean", remedy=remedy)
    found: dict[str, Any] = {}

    def prepare(texts: Artifact, store: Store, progress: Progress) -> Prepared:
        if not options.rare_words:
            return Prepared(partial(classical.cleaned_with, options=options, frequent=None))
        rare = _frequent(texts, options, store, progress)
        found.update(rare.summary)
        alter = partial(classical.cleaned_with, options=options, frequent=rare.file("frequent.npy"))
        return Prepared(alter, {"frequent": rare.fingerprint})

    made = _altered(request, "cleaning", {"cleaning": _plain(asdict(options))}, prepare)
    if not made["changed"] and not made["emptied"]:
        made["notices"].append(both("corpus.notice.nothing_cleaned", n=made["documents"]))
    return {**made, **({"words": found} if found else {})}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it, so that what is read again is equal."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _frequent(texts: Artifact, options: Cleaning, store: Store, progress: Progress) -> Artifact:
    """The words that are not rare, after the steps that come before."""
    before = replace(options, rare_words=0)
    inputs = {"documents": texts.fingerprint}
    config = _plain(asdict(before))

    def count(folder: Path) -> dict[str, Any]:
        task = partial(vocabulary.count_part, prepared=partial(classical.before_counting, options=before))
        found = by_parts(texts, COUNTED.name, task, folder, "rare_words", progress)
        return {name: sum(one[name] for one in found) for name in ("rows", "words")}

    counted = store.build(COUNTED, inputs, config, count, resumed=True)

    def choose(folder: Path) -> dict[str, Any]:
        kept, told = vocabulary.frequent(counted.files(".parquet"), counted.summary["rows"], options.rare_words)
        np.save(folder / "frequent.npy", kept, allow_pickle=False)
        return {"words": counted.summary["words"], **told}

    return store.build(FREQUENT, {"words": counted.fingerprint}, {"least": options.rare_words}, choose)


@dataclass(frozen=True)
class Items:
    """Evaluation items to plant: files, and the fields of their rows that hold the text."""

    files: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


def how_of(defect: str, dose: float, seed: int, given: Mapping[str, Any], items: Items) -> Damage:
    """A `Damage` of the options that were given (not None).

    Raises:
        InputError: there is no such defect, or an option means nothing to it, or lacks.
    """
    options = {name: value for name, value in given.items() if value is not None}
    how = Damage(defect, dose, seed, **options)
    for name in options:
        if name not in DEFECTS[defect].uses:
            users = [other for other, one in DEFECTS.items() if name in one.uses]
            what, remedy = f"--{name} means nothing to {defect}", f"leave it out; it is for {', '.join(users)}"
            raise InputError(what, where="assay corpus damage", remedy=remedy)
    wants = DEFECTS[defect].needs == "items"
    if wants != bool(items.files):
        what = "no evaluation file is given" if wants else f"--items means nothing to {defect}"
        remedy = "name one with --items" if wants else "leave it out; it is for contamination"
        raise InputError(what, where="assay corpus damage", remedy=remedy)
    return how


def run_damage(request: Request, how: Damage, items: Items) -> dict[str, Any]:
    """Plant a dose of a defect in a corpus.

    Returns:
        the answer of `--json`: what `damage.damaged` counts, over all and by source, and more.

    Raises:
        InputError: bad input, the corpus lacks what the defect needs, or the folder holds something else.
    """

    def prepare(texts: Artifact, store: Store, progress: Progress) -> Prepared:
        needs = DEFECTS[how.defect].needs
        if needs is None:
            return Prepared(partial(damage.damaged, how=how))
        if needs == "items":
            pool = _hosts(texts, how, items, request.options, store, progress)
        else:
            pool = _pool(texts, how, store, progress)
        here = replace(how, pool=pool.files(".parquet")[0])
        return Prepared(partial(damage.damaged, how=here), {"pool": pool.fingerprint})

    asked = {"damage": {name: value for name, value in asdict(how).items() if name != "pool"}}
    if items.files:
        asked["items"] = _plain(asdict(items))
    made = _altered(request, "damage", asked, prepare, PLANTED)
    if not made["damaged"] and how.dose > 0:
        made["notices"].append(both("corpus.notice.nothing_damaged", n=made["documents"]))
    return {**made, "unit": DEFECTS[how.defect].unit, "planted": str(request.out / "planted.parquet")}


def _pool(texts: Artifact, how: Damage, store: Store, progress: Progress) -> Artifact:
    """Documents that others take text from."""
    total, done = float(texts.summary["bytes"]), [0.0]

    def tell(more: float) -> None:
        done[0] += more
        progress.to("pool", min(done[0], total), total)

    read = partial(documents.read, texts.files(".parquet"))
    return damage.pool(read, how, store, {"documents": texts.fingerprint}, tell, f"--defect {how.defect}")


def _hosts(
    texts: Artifact, how: Damage, items: Items, options: ReadOptions, store: Store, progress: Progress
) -> Artifact:
    """The documents that evaluation items come into."""
    table, _, noticed = decontaminate.read_items(list(items.files), items.fields, options, "--items")
    progress.notice(noticed)

    def choose(folder: Path) -> dict[str, Any]:
        made = planted.hosts(texts.files(".parquet"), table, how.dose, how.copies, how.seed)
        pq.write_table(made, folder / "hosts.parquet", compression="zstd")
        return {"planted": len(made)}

    inputs = {"documents": texts.fingerprint, "items": fingerprint(table.to_pydict())}
    return store.build(HOSTS, inputs, {"dose": how.dose, "copies": how.copies, "seed": how.seed}, choose)


def _evidence(parts: Sequence[Path], folder: Path) -> dict[str, Any]:
    """What was planted, of each damaged document."""
    schema = pa.schema([PLANTED.field(name) for name in _TOLD])
    rows = 0
    with documents.opened(folder / "planted.parquet", schema) as writer:
        for batch in documents.read(parts, _TOLD):
            found = batch.filter(pc.is_valid(batch.column("defect")))
            if len(found):
                writer.write_batch(found.select(_TOLD).cast(schema))
            rows += len(found)
    return {"planted": rows}


@dataclass(frozen=True)
class Models:
    """What altered copies are made by.

    Attributes:
        vectors: whose neighbours words are replaced by, from the cosine `bound` on.
        through, back: translators into another language, and back.
        device: that they run on.
    """

    vectors: Path | None = None
    bound: float = 0.6
    through: Path | None = None
    back: Path | None = None
    device: str = "auto"


def run_augment(request: Request, how: Augmentation, models: Models, mixture: Mixture) -> dict[str, Any]:
    """Add altered copies of documents to a corpus, or change its mixture.

    Returns:
        the answer of `--json`: what `augment.augmented` and `resample.resampled` count, and more.

    Raises:
        InputError: bad input, nothing is asked for, or the folder holds something else.
    """
    _belong_together(how, models)
    device = device_of(models.device, "--device")
    way = Way.of(models.through, models.back, device) if models.through and models.back else None
    if way is not None:
        how = replace(how, way=way.identity)
    _asked_for(how, mixture)
    times, sentences = dict[str, float](), dict[str, int]()

    def prepare(texts: Artifact, store: Store, progress: Progress) -> Prepared:
        needs: dict[str, str] = {}
        here, notices = how, list[Both]()
        if models.vectors is not None:
            table = _nearest(models.vectors, models.bound, store)
            needs["neighbours"] = table.fingerprint
            here = replace(here, neighbours=table.file("neighbours.parquet"))
        if way is not None:
            said = _back_translated(texts, way, how, store, progress)
            needs["back_translations"] = said.fingerprint
            here = replace(here, rewritten=tuple(said.files(".parquet")))
            sentences.update(said.summary)
        by_label, weights = _wanted(texts.files(".parquet"), mixture)
        times.update(by_label or weights)
        if by_label and mixture.over == "source":
            times.update({name: wanted * weights[name] for name, wanted in by_label.items()})
        if most := [name for name, wanted in times.items() if wanted > _OFTEN]:
            notices.append(both("corpus.notice.often", names=", ".join(sorted(most)), times=int(_OFTEN)))
        counted = resample.by_copies(mixture.weights)
        if counted:
            notices += _repeated(resample.most_copies(texts.files(".parquet")), weights)
        alter = partial(
            _augmented, how=here, times=by_label, label=mixture.over, weights=weights, mixed=not mixture.nothing,
            counted=counted,
        )  # fmt: skip
        return Prepared(alter, needs, notices)

    asked: dict[str, Any] = {
        "augmentation": {name: v for name, v in asdict(how).items() if name not in ("neighbours", "rewritten")},
        "mixture": asdict(mixture),
    }
    if models.vectors is not None:
        asked |= {"vectors": str(models.vectors), "bound": models.bound}
    made = _altered(request, "augmentation", asked, prepare)
    if sentences:
        made["back_translation"] = sentences
    return {**made, **({"times": dict(sorted(times.items()))} if not mixture.nothing else {})}


def _back_translated(texts: Artifact, way: Way, how: Augmentation, store: Store, progress: Progress) -> Artifact:
    """What each document is there and back: REWRITTEN, a file a part of the documents."""
    task = partial(back_translation.rewrite_slice, way=way, copies=how.copies, seed=how.seed)

    def make(folder: Path) -> dict[str, Any]:
        name, most = BACK_TRANSLATIONS.name, back_translation.SLICE
        found = by_groups(texts, f"{name}-", ".parquet", task, folder, "back_translation", progress, most)
        return {key: sum(one[key] for one in found) for key in ("sentences", "stayed")}

    inputs = {"documents": texts.fingerprint, "models": way.identity}
    return store.build(BACK_TRANSLATIONS, inputs, {"copies": how.copies, "seed": how.seed}, make, resumed=True)


def _repeated(most: Mapping[str, int], weights: Mapping[str, float]) -> list[Both]:
    """What is to be said of weights by `copies`, the largest of each source being these.

    Raises:
        InputError: no document has any.
    """
    if not most:
        remedy = "name the folder kept/ that assay corpus dedup leaves, or weights of sources"
        raise InputError("no document says how many copies it stands for", where="--weights copies", remedy=remedy)
    often = sorted(name for name, copies in most.items() if copies * weights.get(name, 1.0) > _OFTEN)
    return [both("corpus.notice.copies", names=", ".join(often), times=int(_OFTEN))] if often else []


def _belong_together(how: Augmentation, models: Models) -> None:
    where = "assay corpus augment"
    if (models.vectors is None) != (not how.synonyms):
        remedy = "give --synonyms 0.1 with it" if models.vectors is not None else "name word vectors with --vectors"
        raise InputError("--synonyms and --vectors belong together", where=where, remedy=remedy)
    if (models.through is None) != (models.back is None):
        remedy = "name a translator into another language with --through, and one back with --back"
        raise InputError("--through and --back belong together", where=where, remedy=remedy)
    if not -1 <= models.bound <= 1:
        raise InputError(f"--bound is {models.bound}", where=where, remedy="give a cosine, such as 0.6")


def _asked_for(how: Augmentation, mixture: Mixture) -> None:
    where, ways = "assay corpus augment", "--drop, --swap, --synonyms, --through and --back"
    if how.nothing and mixture.nothing:
        remedy = f"say how copies differ ({ways}), or which text is wanted (--weights, --temperature)"
        raise InputError("nothing is asked for", where=where, remedy=remedy)
    if how.nothing and how.copies > 1:
        remedy = f"say how they differ ({ways}); for equal ones, --weights"
        raise InputError("--copies without a way in which they differ", where=where, remedy=remedy)
    if mixture.temperature is not None:
        resample.tempered({}, mixture.temperature)


def _wanted(parts: Sequence[Path], mixture: Mixture) -> tuple[dict[str, float], dict[str, float]]:
    """How often the text of each label, and of each source, is wanted."""
    if mixture.nothing:
        return {}, {}
    weights = resample.weighted(mixture.weights, list(resample.amounts(parts, "source")))
    if mixture.temperature is None:
        return {}, weights
    return resample.tempered(resample.amounts(parts, mixture.over), mixture.temperature), weights


def _nearest(vectors: Path, bound: float, store: Store) -> Artifact:
    path = neighbours.found(vectors)

    def find(folder: Path) -> dict[str, Any]:
        table = neighbours.neighbours(path, bound)
        pq.write_table(table, folder / "neighbours.parquet", compression="zstd")
        return {"words": len(set(table.column("word").to_pylist()))}

    config = {"bound": bound, "words": neighbours.MOST_WORDS, "each": neighbours.EACH}
    return store.build(NEAREST, {"vectors": neighbours.digest(path)}, config, find)


def _augmented(
    batch: pa.RecordBatch, *, how: Augmentation, times: Mapping[str, float], label: resample.Label,
    weights: Mapping[str, float], mixed: bool, counted: bool,
) -> tuple[pa.RecordBatch, dict[str, Any]]:  # fmt: skip
    """A batch with copies, then in the mixture that is wanted."""
    made, counts = augmented(batch, how)
    if not mixed:
        return made, counts
    made, more = resample.resampled(made, times, label, weights, how.seed, counted=counted)
    return made, {source: {**count, **more[source]} for source, count in counts.items()}

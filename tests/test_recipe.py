"""Recipes: defaults, then the file, then --set; what is wrong is said in one line with the nearest right thing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from assay.errors import InputError
from assay.recipe.load import explain, load, parse_duration, parse_quantity, parse_size
from assay.recipe.pretrain import PretrainRecipe
from assay.recipe.study import StudyRecipe


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def one_line(error: InputError, *parts: str) -> None:
    assert error.exit_code == 2
    assert "\n" not in error.line()
    for part in parts:
        assert part in error.line()


def test_set_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "train:\n  seeds: 5\n  layers: 3\ntitle: 标题\n")
    recipe, origins = load(StudyRecipe, path, ["train.seeds=7", "design.axes=[size]", "corpus.source_field=domain"])
    assert recipe.train.seeds == 7  # --set over file
    assert recipe.train.layers == 3  # file over default
    assert recipe.title == "标题"
    assert recipe.train.batch_rows == StudyRecipe().train.batch_rows  # default
    assert recipe.design.axes == ("size",)
    assert recipe.corpus.source_field == "domain"
    assert origins["train.seeds"] == "--set"
    assert origins["train.layers"] == str(path)
    assert "train.batch_rows" not in origins


def test_no_file_and_no_set_is_the_default_recipe(tmp_path: Path) -> None:
    assert load(StudyRecipe, None)[0] == StudyRecipe()
    assert load(StudyRecipe, write(tmp_path, "# nothing but a comment\n"))[0] == StudyRecipe()
    assert load(StudyRecipe, write(tmp_path, "train:\n  # seeds: 5\n"))[0] == StudyRecipe()  # a section commented out


@pytest.mark.parametrize(
    ("override", "nearest"),
    [("train.sead=5", "train.seeds"), ("seeds=5", "train.seeds"), ("trian.seeds=5", "train.seeds"),
     ("design.axis=[size]", "design.axes"), ("design.level.x=1", "design.level")],
)  # fmt: skip
def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path, override: str, nearest: str) -> None:
    with pytest.raises(InputError) as caught:
        load(StudyRecipe, None, [override])
    one_line(caught.value, override.partition("=")[0], nearest, "--set")


def test_an_unknown_key_in_the_file_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "train:\n  sedes: 5\n")
    with pytest.raises(InputError) as caught:
        load(StudyRecipe, path)
    one_line(caught.value, str(path), "train.sedes", "train.seeds")


def test_a_recipe_of_another_kind_is_told_as_such(tmp_path: Path) -> None:
    path = write(tmp_path, "train:\n  seed: 5\n")
    with pytest.raises(InputError) as caught:
        load(StudyRecipe, path, others={"assay train RECIPE": PretrainRecipe})
    one_line(caught.value, str(path), "'train.seed' is a key of another kind of recipe", "assay train RECIPE")
    with pytest.raises(InputError) as caught:
        load(StudyRecipe, write(tmp_path, "train:\n  sedes: 5\n"), others={"assay train RECIPE": PretrainRecipe})
    one_line(caught.value, "train.sedes", "train.seeds")


def test_keys_of_a_file_may_be_written_whole_and_none_twice(tmp_path: Path) -> None:
    recipe, origins = load(
        StudyRecipe, path := write(tmp_path, "train.seeds: 5\ntrain:\n  layers: 3\ndesign.level: 0.8\n")
    )
    assert (recipe.train.seeds, recipe.train.layers, recipe.design.level) == (5, 3, 0.8)
    assert origins["train.seeds"] == origins["train.layers"] == str(path)
    for text in ("train:\n  seeds: 3\ntrain:\n  layers: 1\n", "train:\n  seeds: 3\n  seeds: 4\n"):
        with pytest.raises(InputError) as caught:
            load(StudyRecipe, write(tmp_path, text))
        one_line(caught.value, "stands here a second time", f"{path}:3:")


def test_a_section_that_is_no_mapping_says_so(tmp_path: Path) -> None:
    for text in ("train: 5\n", "train: [1, 2]\n"):
        with pytest.raises(InputError) as caught:
            load(StudyRecipe, write(tmp_path, text))
        one_line(caught.value, "train", "section")
    with pytest.raises(InputError) as caught:
        load(StudyRecipe, None, ["train=5"])
    one_line(caught.value, "train", "section")


@pytest.mark.parametrize(
    "override",
    ["train.seeds=one", "train.seeds=1", "train.seeds=2.5", "train.width=17", "design.level=1", "design.level=.nan",
     "train.dtype=float16", "design.axes=[sizes]", "train.matrix_lr=-1", "train.matrix_lr=.inf",
     "design.upweight=.inf", "design.doses=[0.5, 2]", "design.doses=[-0.1]", "corpus.on_error=ignore"],
)  # fmt: skip
def test_a_bad_value_is_one_line_with_key_value_and_meaning(override: str) -> None:
    with pytest.raises(InputError) as caught:
        load(StudyRecipe, None, [override])
    one_line(caught.value, override.partition("=")[0], "--set", "given")


@pytest.mark.parametrize("override", ["train.seeds", "", "=5", "train.seeds=[1", "title=a: b: c", "title='x"])
def test_a_malformed_set_is_one_line(override: str) -> None:
    with pytest.raises(InputError) as caught:
        load(StudyRecipe, None, [override])
    one_line(caught.value, "--set")


@pytest.mark.parametrize(
    "content",
    [b"train: [1,\n  2\nseeds: x", b"a: b: c\n", b"\xff\xfe\x00", b"- a\n- b\n", b"just words\n",
     b"? [a, b]\n: c\n"],
)  # fmt: skip
def test_a_file_that_is_no_recipe_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load(StudyRecipe, path)
    one_line(caught.value, str(path))


def test_a_path_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputError) as caught:
            load(StudyRecipe, path)
        one_line(caught.value, str(path))


def _leaves(model: BaseModel, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        found |= _leaves(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {prefix + name: value}
    return found


def test_explain_lists_every_field_with_value_origin_and_meaning() -> None:
    recipe, origins = load(StudyRecipe, None, ["train.seeds=5"])
    rows = explain(recipe, origins)
    assert {key: value for key, value, _ in rows} == _leaves(recipe)
    assert len(rows) == len(_leaves(recipe))
    for key, _, why in rows:
        origin, _, meaning = why.partition(": ")
        assert origin == ("--set" if key == "train.seeds" else "default")
        assert meaning, f"{key} has no description"


def test_the_fingerprint_follows_the_values_and_not_their_origin(tmp_path: Path) -> None:
    from_file, _ = load(StudyRecipe, write(tmp_path, "train: {seeds: 5}\n"))
    from_set, _ = load(StudyRecipe, None, ["train.seeds=5"])
    other, _ = load(StudyRecipe, None, ["train.seeds=6"])
    assert from_file.fingerprint() == from_set.fingerprint() != other.fingerprint()


UNITS = {"": 1, "k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "g": 1e9, "G": 1e9, "b": 1e9, "B": 1e9}


@given(st.integers(1, 10**7), st.integers(0, 3), st.sampled_from(sorted(UNITS)))
def test_quantities_are_read_as_written(whole: int, digits: int, unit: str) -> None:
    number = f"{whole / 10**digits:.{digits}f}"
    assert parse_quantity(f" {number}{unit} ", "tokens") == pytest.approx(float(number) * UNITS[unit])


@given(st.floats(1, 9.5), st.integers(0, 12))
def test_quantities_take_an_exponent(mantissa: float, exponent: int) -> None:
    text = f"{mantissa:.2f}e{exponent}"
    assert parse_quantity(text, "tokens") == pytest.approx(float(text))


@pytest.mark.parametrize("text", ["20M", "20MB", "20mb ", "2e7", "20000kB"])
def test_sizes_may_name_bytes(text: str) -> None:
    assert parse_size(text, "sample") == 2e7


@pytest.mark.parametrize("text", ["B", "MB", "20 B B", "-3MB", "20MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a number of sample"):
        parse_size(text, "sample")


@given(st.integers(1, 10**5), st.sampled_from([("s", 1), ("m", 60), ("min", 60), ("h", 3600), ("", 1)]))
def test_durations_are_read_as_written(number: int, unit: tuple[str, int]) -> None:
    assert parse_duration(f"{number}{unit[0]}") == number * unit[1]
    assert parse_duration(f"{number / 4} {unit[0]}") == pytest.approx(number * unit[1] / 4)


@given(st.text(st.sampled_from("0123456789.eEkKmMsh+- ∞n"), max_size=8) | st.text(max_size=6))
def test_any_text_is_a_finite_quantity_and_duration_or_bad_input(text: str) -> None:
    for parse in (lambda: parse_quantity(text, "tokens"), lambda: parse_duration(text)):
        try:
            value = parse()
        except InputError as error:
            assert "\n" not in error.line()
        else:
            assert math.isfinite(value)
            assert value > 0


@pytest.mark.parametrize("text", ["1e999", "1e305G", "9" * 400, "0", "0.000", "1.2.3", ".", "1e", "-1", "nan"])
def test_what_is_no_finite_positive_number_is_bad_input(text: str) -> None:
    with pytest.raises(InputError):
        parse_quantity(text, "tokens")
    with pytest.raises(InputError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("content", "override", "where"),
    [
        ("data: {weights: {en: 1}}", "data.weights={letters: 0}", "--set: data.weights.letters"),
        ("data: {weights: {en: 1}}", "data.weights.letters=0", "--set: data.weights.letters"),
        ("data: {weights: {en: -1}}", "data.weights={letters: 1}", "{path}: data.weights.en"),
        ("", "data.weights={letters: 0}", "--set: data.weights.letters"),
    ],
)
def test_a_value_within_a_mapping_is_blamed_on_whoever_gave_it(
    tmp_path: Path, content: str, override: str, where: str
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(PretrainRecipe, path, [override])
    assert caught.value.line().startswith(where.format(path=path)), caught.value.line()
    assert "mend data.weights (" in caught.value.line()

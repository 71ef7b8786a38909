"""The folder of a study: whose it is, when it is settled, and one worker at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.errors import InputError, WorkError
from assay.store import Stage
from assay.workspace import Workspace

ONE, OTHER = {"sources": ["/a"], "budget": {"tokens": 1}}, {"sources": ["/b"], "budget": {"tokens": 1}}


def test_until_it_is_settled_the_folder_takes_a_corrected_study(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "deep" / "study")
    with space.enter(ONE, "first"):
        assert not space.settled
    with space.enter(OTHER, "second"):
        space.settle(corpus="c", plan="p")
    before = space.path("study.json").read_bytes()
    assert json.loads(before) == {**OTHER, "command": "second", "settled": {"corpus": "c", "plan": "p"}}
    refusal = r"holds another study \(sources: \[\"/b\"\] there, \[\"/a\"\] here\).*repeat its command: second"
    with pytest.raises(InputError, match=refusal), space.enter(ONE, "third"):
        raise AssertionError("it was let in")
    with space.enter(OTHER, "fourth"):
        space.settle(corpus="c", plan="p")
        with pytest.raises(InputError, match="its corpus has changed since this study began"):
            space.check(corpus="d")
    assert space.path("study.json").read_bytes() == before


def test_an_option_that_came_later_and_asks_for_nothing_is_no_difference(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "out", "training")
    with space.enter({"recipe": {"train": {"seed": 1}}}, "first"):
        space.settle(corpus="one")
    with space.enter({"recipe": {"train": {"seed": 1, "find": False, "vectors": None}}}, "second"):
        pass
    with (
        pytest.raises(InputError, match=r"train\.find: null there, true here"),
        space.enter({"recipe": {"train": {"seed": 1, "find": True}}}, "third"),
    ):
        pass


def test_two_at_the_same_time(tmp_path: Path) -> None:
    with Workspace(tmp_path / "study").enter(ONE, "one"):
        refusal = "another run is working here -> wait for it, or choose another --out"
        with pytest.raises(InputError, match=refusal), Workspace(tmp_path / "study").enter(ONE, "one"):
            raise AssertionError("both are in")
        assert (tmp_path / "study" / "study.json").exists()
    with Workspace(tmp_path / "study").enter(ONE, "one"):
        pass


def _fail(space: Workspace, error: Exception) -> None:
    with pytest.raises(type(error)), space.enter(ONE, "one"):
        raise error


def test_bad_input_leaves_no_folder_that_was_not_there(tmp_path: Path) -> None:
    _fail(Workspace(tmp_path / "deep" / "study"), InputError("bad"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    _fail(Workspace(tmp_path / "mine"), InputError("bad"))
    assert (tmp_path / "mine").is_dir()
    with Workspace(tmp_path / "mine").enter(ONE, "one"):  # and it can be used
        pass


def test_finished_artifacts_stay_whatever_happens(tmp_path: Path) -> None:
    for error in (InputError("bad"), WorkError("full"), KeyboardInterrupt()):
        space = Workspace(tmp_path / type(error).__name__)
        with pytest.raises(type(error)), space.enter(ONE, "one"):
            space.store.build(Stage("a", 1), {}, {}, lambda folder: None)
            raise error
        assert space.store.find(Stage("a", 1), {}, {})


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "study")
    with space.enter(ONE, "one"):
        pass
    (space.root / ".staging-claims.json-12").write_text("[", encoding="utf-8")
    (space.store.root / "stream" / ".staging-abc-12").mkdir(parents=True)
    with space.enter(ONE, "one"):
        assert not list(space.root.rglob(".staging-*"))


@pytest.mark.parametrize("content", ["", "[1", "[]", "7"])
def test_a_damaged_identity_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"), Workspace(tmp_path).enter(ONE, "one"):
        raise AssertionError("it was let in")
    assert (tmp_path / "study.json").read_text(encoding="utf-8") == content


def test_seconds_add_up_over_runs(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.add_seconds({"fleet": 2.0, "report": 1.0})
    assert space.add_seconds({"fleet": 0.5}) == {"fleet": 2.5, "report": 1.0}

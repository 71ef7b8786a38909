"""The page in a browser: every view in both languages, without an error; keys, sliders, links, colours."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

from assay.explore.app import app  # noqa: E402 (needs what is asked for above)
from assay.web import running  # noqa: E402
from assay.web.keys import Keys  # noqa: E402

VIEWS = ("", "studies", "runs", "documents", "mixtures", "calibration", "models")
PATIENCE = 20_000  # ms that a busy machine may take


class Served:
    """The page on a port of its own, in a thread."""

    def __init__(self, roots: list[Path]) -> None:
        import uvicorn

        self.keys = Keys("a key of this test")
        self.socket = running.listening(running.LOOPBACK, 0)
        self.address = running.address(self.socket)
        config = uvicorn.Config(app(roots, self.keys), log_config=None, lifespan="on", ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.run(self.server.serve(sockets=[self.socket]))

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    # Its driver runs an event loop in this thread; other tests' loops are their own.
    with playwright.sync_playwright() as driver:
        own = Path(driver.chromium.executable_path)
        if found is None and not own.exists():
            pytest.skip("needs a Chromium: none of chromium, google-chrome, chromium-browser is on the PATH")
        browser = driver.chromium.launch(executable_path=found or str(own), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    before = os.environ.get("ASSAY_CACHE")
    os.environ["ASSAY_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    made = Served([workspace])
    yield made
    made.stop()
    os.environ.pop("ASSAY_CACHE")
    if before is not None:
        os.environ["ASSAY_CACHE"] = before


class Page:
    """A page that is signed in, and all that it complained of."""

    def __init__(self, chromium: Any, served: Served, **how: Any) -> None:
        self.context = chromium.new_context(**{"viewport": {"width": 1360, "height": 860}, **how})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.address = served.address
        self.page.goto(served.address + served.keys.link())
        self.page.wait_for_selector("#nav a")
        self.settled()

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def go(self, place: str) -> None:
        self.page.goto(f"{self.address}/#/{place}")
        self.settled()

    def until(self, condition: str, arg: Any = None) -> None:
        """Wait for an expression to be true. Not by `wait_for_function`: the policy lets nothing evaluate text."""
        for _ in range(PATIENCE // 50):
            if self.page.evaluate(condition, arg):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {condition}\n{self.text()}")

    def settled(self) -> None:
        self.until("document.getElementById('progress').hidden && !document.querySelector('.loading')")
        self.page.wait_for_timeout(60)
        self.until("document.getElementById('progress').hidden")

    def text(self) -> str:
        return str(self.page.inner_text("main"))


@pytest.fixture
def opened(chromium: Any, served: Served) -> Iterator[Page]:
    made = Page(chromium, served)
    yield made
    made.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_speaks_both_languages_and_complains_of_nothing(chromium: Any, served: Served, theme: str) -> None:
    made = Page(chromium, served, color_scheme=theme)
    page = made.page
    assert page.get_attribute("html", "data-theme") == theme
    for view in VIEWS:
        made.go(view)
        for language in ("en", "zh"):
            page.click(f"[data-tongue={language}]")
            made.settled()
            said = made.text()
            assert len(said) > 40
            assert "explore." not in said  # a key without words
            assert page.locator("[role=alert]").count() == 0, said
            chinese = sum("\u4e00" <= letter <= "\u9fff" for letter in page.inner_text("#nav") + page.title())
            assert (chinese > 10) == (language == "zh")
    made.context.close()
    assert made.complaints == []


def _choose(page: Any, label: str) -> None:
    """Another entry, until its view has taken the place of the one before."""
    if page.eval_on_selector("main select", "select => select.selectedOptions[0].label") != label:
        before = page.query_selector("main textarea")
        page.select_option("main select", label=label)
        page.wait_for_function("before => !before.isConnected", arg=before)


def test_tabs_of_models_work(opened: Page) -> None:
    page = opened.page
    opened.go("models")
    _choose(page, "gpt")
    page.wait_for_selector("[data-tab=write]")
    page.fill("textarea", "道可道，非常道")
    page.click(".button.primary")
    page.wait_for_selector(".written .token")
    opened.until("document.querySelector('.play [role=status]').textContent.includes('log-probability')")
    page.locator(".written .token").first.click()
    assert page.locator(".alternatives .bars li").count() >= 8
    page.click("[data-tab=attention]")
    page.wait_for_selector("canvas.map")
    assert page.input_value("textarea") == "道可道，非常道"  # what was written goes along
    page.locator(".head").nth(1).click()
    assert page.locator(".head").nth(1).get_attribute("aria-pressed") == "true"
    page.click("[data-tab=matter]")
    page.wait_for_selector(".shares .tok")
    assert page.locator(".shares .tok:not(.special)").all_inner_texts() == list("道可道，非常道")
    page.select_option("main select", label="sentiment · classification")
    page.wait_for_selector("[data-tab=answer]")
    page.click("[data-tab=answer]")
    page.wait_for_selector("label textarea")
    page.click(".button.primary")
    page.wait_for_selector(".answer .says-big")
    page.fill("label textarea", "")
    page.click(".button.primary")
    page.wait_for_selector(".answer [role=alert]")
    assert [one for one in opened.complaints if "400" not in one] == []  # the browser tells of the refusal, too


def test_documents_are_searched_filtered_and_read(opened: Page) -> None:
    page = opened.page
    opened.go("documents")
    page.select_option(".side select", label="scored · corpus")
    page.wait_for_selector("text=904 documents, ")
    page.keyboard.press("/")
    page.keyboard.type("非常名")
    opened.until("document.querySelector('.told-found').textContent === '2 documents'")
    assert page.locator(".document mark").count() >= 1
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector(".pane .text")
    assert page.locator(".pane .text mark").count() > 10
    page.locator(".pane .entries button").click()
    page.wait_for_selector(".beside mark")
    assert {"万", "百"} == set(page.locator(".beside mark").all_inner_texts())
    page.select_option(".pane select", label="gpt")
    page.wait_for_selector(".text .tok[title]")
    assert "bpb" in page.inner_text(".heat-key")
    address = page.url
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator(".pane .text").count() == 0
    page.goto("about:blank")
    page.goto(address)  # a link to all of it
    page.wait_for_selector(".text .tok[title]")
    assert page.input_value("[data-search]") == "非常名"
    page.fill("[data-search]", "nothing like this")
    page.wait_for_selector("text=No document is like this.")
    assert opened.complaints == []


def test_more_documents_come_when_the_list_is_scrolled(opened: Page) -> None:
    page = opened.page
    opened.go("documents")
    page.select_option(".side select", label="scored · corpus")
    page.wait_for_selector(".document")
    page.mouse.move(500, 500)
    for _ in range(12):
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(150)
        if page.locator(".document").count() > 100:
            break
    rows = [int(one.get_attribute("data-row")) for one in page.locator(".document").all()]
    assert len(rows) > 100
    assert rows == list(range(len(rows)))


def test_sliders_keep_their_sum_and_tell_what_follows(opened: Page) -> None:
    page = opened.page
    opened.go("mixtures")
    page.wait_for_selector(".predicted tr")
    before = page.inner_text(".predicted")
    slider = page.locator("input[type=range]").first
    slider.focus()
    for _ in range(30):
        page.keyboard.press("PageUp")
    opened.until("text => document.querySelector('.predicted').innerText !== text", before)
    page.wait_for_selector("text=Farther than any mixture")
    shares = [float(text.rstrip("%")) for text in page.locator(".slider output").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert shares[0] > 90
    address = page.url
    page.click("text=As the corpus is")
    opened.until("text => document.querySelector('.predicted').innerText === text", before)
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("text=Farther than any mixture")
    assert opened.complaints == []


def test_runs_are_compared(opened: Page) -> None:
    page = opened.page
    opened.go("runs")
    boxes = page.locator(".checks input")
    if not page.locator("label[title=gpt] input").is_checked():
        page.check("label[title=gpt] input")
        opened.settled()
    page.check("label[title=gpt-slow] input")
    page.wait_for_selector("text=optimizer.matrix_lr")
    for name in ("names", "sentiment"):
        if page.locator(f"label[title={name}] input").is_checked():
            page.uncheck(f"label[title={name}] input")
            opened.settled()
    opened.until("document.querySelectorAll('.drawing polyline').length === 2")
    assert boxes.count() == 4
    assert opened.complaints == []


def test_keys_lead_everywhere(opened: Page) -> None:
    page = opened.page
    for number, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(number))
        opened.until("view => location.hash.startsWith('#/' + view)", view)
        opened.settled()
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    page.keyboard.press("l")
    opened.settled()
    assert page.get_attribute("html", "lang") == "zh-CN"
    for theme in ("light", "dark"):
        page.keyboard.press("t")
        assert page.get_attribute("html", "data-theme") == theme
    page.reload()
    page.wait_for_selector("#nav a")
    assert page.get_attribute("html", "lang") == "zh-CN"  # what was chosen is kept
    assert page.get_attribute("html", "data-theme") == "dark"
    page.keyboard.press("1")
    opened.settled()
    page.keyboard.press("j")
    focused = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert focused == "solid"
    assert opened.complaints == []


@pytest.mark.parametrize("width", [390, 800])
def test_narrow_screens_show_everything_without_scrolling_sideways(chromium: Any, served: Served, width: int) -> None:
    made = Page(chromium, served, viewport={"width": width, "height": 800})
    for view in VIEWS:
        made.go(view)
        assert made.page.evaluate("document.documentElement.scrollWidth") <= width, view
    made.context.close()


def test_an_empty_folder_says_what_to_do(chromium: Any, tmp_path: Path) -> None:
    served = Served([tmp_path])
    made = Page(chromium, served)
    for view in VIEWS:
        made.go(view)
        assert "assay " in made.page.inner_text(".empty"), view
    assert made.complaints == []
    made.context.close()
    served.stop()


def test_a_server_that_has_gone_is_told(chromium: Any, tmp_path: Path) -> None:
    served = Served([tmp_path])
    made = Page(chromium, served)
    served.stop()
    made.page.evaluate("location.hash = '#/calibration'")
    made.page.wait_for_selector("[role=alert]")
    assert "Was assay explore stopped?" in made.text()
    made.context.close()

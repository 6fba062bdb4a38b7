"""The page as text and in a browser: self-contained, safe with hostile names, whole on a phone, on paper and in the dark."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import report_bundle
from test_report_numbers import luminance

from allometry.report import page

SECTIONS = "loss winners pairs sizes laws rates curves costs what-was-run distrust commands reading".split()


class Reader(HTMLParser):
    """What a browser would find: the tags with their attributes, the text outside scripts, the data of the figures."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.data, self.inside = "", "", ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script" and self.tags[-1][1].get("id") == "data":
            self.data += data
        elif self.inside not in ("script", "style"):
            self.text += data


@pytest.fixture(scope="module")
def full() -> str:
    return page.render(report_bundle.bundle())


@pytest.mark.parametrize("content", [report_bundle.bundle(), report_bundle.edge_bundle(), {}], ids=["full", "edge", "empty"])
def test_the_page_has_every_section_and_no_missing_number_shows(content):
    read = Reader(page.render(content))
    assert [a["id"] for tag, a in read.tags if tag == "section" and a["id"] != "target"] == SECTIONS
    links = {(a.get("href") or "").removeprefix("#") for tag, a in read.tags if tag == "a"}
    assert set(SECTIONS) <= links
    for word in ("nan", "None", "undefined", "null"):
        assert word not in read.text.split()
    json.loads(read.data, parse_constant=lambda name: pytest.fail(f"{name} in the data of the figures"))


def test_a_hostile_name_is_shown_and_never_run(full):
    read = Reader(full)
    assert report_bundle.HOSTILE in read.text
    scripts = [attributes for tag, attributes in read.tags if tag == "script"]
    assert scripts == [{}, {"type": "application/json", "id": "data"}, {}]
    assert "alert(1)" in read.data
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_the_page_points_to_nothing_outside(full):
    for tag, attributes in Reader(full).tags:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith(("#", "data:")), tag


def test_the_answer_comes_before_everything(full):
    read = Reader(full)
    places = [read.text.index(line) for line in report_bundle.answer()["headline"]]
    assert places == sorted(places)
    assert places[-1] < read.text.index("Loss against cost")
    assert "4 warnings" in read.text
    assert all(warning["text"] in read.text for warning in report_bundle.answer()["warnings"])


def test_a_target_is_answered_near_the_top():
    content = report_bundle.bundle()
    choice = {"family": "lstm", "N": 3e5, "D": 6e6, "rate": 2e-3, "loss": 1.83, "low": 1.8, "high": 1.86, "reason": None}
    refused = dict.fromkeys(choice) | {"family": "performer", "reason": "beyond 10 times the largest run"}
    content["answer"]["target"] = {
        "flops": 1e14,
        "choices": [choice, refused],
        "winner": "lstm",
        "reason": "lowest in 95 % of draws",
    }
    text = Reader(page.render(content)).text
    assert text.index("What to train with 10¹⁴ FLOPs") < text.index("Winners by region")
    assert "beyond 10 times the largest run" in text


def test_a_thousand_runs_are_drawn_fast_and_small():
    content = report_bundle.bundle(seeds=15, sizes=4)
    assert len(content["runs"]) > 1000
    start = time.process_time()
    text = page.render(content)
    assert time.process_time() - start < 1.5  # seconds; measured 0.3 without the shape checker
    assert len(text.encode()) < 6e6


def test_reading_results_needs_no_heavy_library():
    code = "import sys, allometry.report.page; print([m for m in ('torch', 'numpy', 'pandas', 'plotly', 'rich') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.fixture(scope="module")
def opened(full: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[str]]]:
    """The full page in a browser, with all that it complained of or asked for."""
    program = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(program).exists():
        pytest.skip("needs Chromium, which is not installed")
    sync = pytest.importorskip("playwright.sync_api")
    place = tmp_path_factory.mktemp("report") / "report.html"
    place.write_text(full, encoding="utf-8")
    with sync.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=program, args=options)
        shown = browser.new_page(viewport={"width": 1180, "height": 900}, color_scheme="light")
        trouble: list[str] = []
        shown.on("console", lambda message: trouble.append(message.text) if message.type in ("error", "warning") else None)
        shown.on("pageerror", lambda error: trouble.append(str(error)))
        shown.on("request", lambda request: None if request.url == place.as_uri() else trouble.append(request.url))
        shown.goto(place.as_uri())
        yield shown, trouble
        browser.close()


def x_title(shown: Any) -> str:
    """The title of the main figure's x axis, as drawn."""
    return shown.locator("#figure-loss .xtitle").text_content()


def marks_drawn(shown: Any) -> list[str]:
    """Where the points of the main figure stand."""
    return shown.eval_on_selector_all("#figure-loss .points path", "paths => paths.map(p => p.getAttribute('transform'))")


def test_every_figure_is_drawn_without_complaint(opened):
    shown, trouble = opened
    plots = shown.locator("[data-figure] .js-plotly-plot")
    assert plots.count() == shown.locator("[data-figure]").count() == 12  # loss, 4 + 4 panels, training, positions, parts
    drawn = plots.evaluate_all("all => all.map(plot => plot.querySelectorAll('.trace path').length)")
    assert min(drawn) > 0
    assert trouble == []


def test_the_axis_switch_changes_title_and_points(opened):
    shown, trouble = opened
    seen = {}
    for axis in ("flops", "seconds", "parameters", "memory", "flops"):
        shown.select_option("#figure-loss [data-control=view]", axis)
        seen.setdefault(axis, (x_title(shown), marks_drawn(shown)))
        assert (x_title(shown), marks_drawn(shown)) == seen[axis]  # and back again
    assert len({title for title, _ in seen.values()}) == 4
    assert len({tuple(places) for _, places in seen.values()}) == 4
    assert "seconds" in seen["seconds"][0]
    assert trouble == []


def test_tuning_runs_laws_and_families_can_be_switched(opened):
    shown, _ = opened
    before = len(marks_drawn(shown))
    tuning = sum(row["stage"] == "tune" for row in report_bundle.run_rows())
    shown.check("#figure-loss [data-control=tuning]")
    assert len(marks_drawn(shown)) == before + tuning
    shown.uncheck("#figure-loss [data-control=tuning]")
    assert len(marks_drawn(shown)) == before
    lines = "#figure-loss .js-line"
    paths = [line.get_attribute("d") for line in shown.locator(lines).all()]
    shown.select_option("#figure-loss [data-control=law]", "power")
    assert [line.get_attribute("d") for line in shown.locator(lines).all()] != paths
    button = shown.locator("#figure-loss .legend button").first
    button.click()
    assert len(marks_drawn(shown)) < before
    button.click()
    assert len(marks_drawn(shown)) == before


def test_nothing_is_wider_than_a_phone(opened):
    shown, _ = opened
    shown.set_viewport_size({"width": 390, "height": 844})
    shown.wait_for_function("document.querySelector('#figure-loss .main-svg').clientWidth < 390")
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    too_wide = "all => all.filter(e => e.getBoundingClientRect().right > 391).length"
    assert shown.eval_on_selector_all("main > section > *, .main-svg, .segment", too_wide) == 0
    shown.set_viewport_size({"width": 1180, "height": 900})


def contrast(shown: Any, selector: str, property_: str) -> float:
    """WCAG contrast of an element's colour against the page."""
    colours = shown.evaluate(
        """([selector, property]) => [getComputedStyle(document.querySelector(selector))[property],
        getComputedStyle(document.body).backgroundColor]""",
        [selector, property_],
    )
    numbers = [[int(float(n)) for n in colour[colour.index("(") + 1 : -1].split(",")[:3]] for colour in colours]
    low, high = sorted(luminance("#" + "".join(f"{n:02x}" for n in rgb)) for rgb in numbers)
    return (high + 0.05) / (low + 0.05)


def test_the_dark_page_and_its_figures_are_readable_and_paper_is_light(opened):
    shown, trouble = opened
    places = [
        ("h1", "color"),
        ("figcaption", "color"),
        ("#figure-loss .xtitle", "fill"),
        ("#figure-loss .xtick text", "fill"),
    ]
    grounds = []
    for media, scheme in (("screen", "light"), ("screen", "dark"), ("print", "dark")):
        shown.emulate_media(media=media, color_scheme=scheme)
        assert min(contrast(shown, *place) for place in places) >= 4.5, (media, scheme)
        grounds.append(shown.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert shown.locator("#figure-loss .controls").is_visible() == (media == "screen")
        assert shown.locator("#figure-loss .legend").is_visible()
    assert grounds[0] == grounds[2] != grounds[1]
    shown.emulate_media(media="screen", color_scheme="light")
    assert trouble == []


def test_paper_shows_what_was_folded_and_cuts_no_figure(opened, tmp_path):
    shown, _ = opened
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.locator("details:not([open])").count() == 0
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.locator("details[open]").count() == 0
    shown.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    shown.emulate_media(media="print")
    assert set(shown.eval_on_selector_all("figure", "all => all.map(f => getComputedStyle(f).breakInside)")) == {"avoid"}
    shown.emulate_media(media="screen")

"""The page as text and in a browser: self-contained, safe with hostile names, whole on a phone, on paper and in the dark."""

import itertools
import json
import random
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
from test_report_numbers import luminance, parse

from allometry.report import page

SECTIONS = ["loss", "winners", "pairs", "sizes", "laws", "rates", "curves", "costs"]
SECTIONS += ["what-was-run", "distrust", "commands", "reading"]

# In a process of its own, where no shape checker slows it: what it loads, how long it takes, how large the page is.
MEASURE = """
import sys, time, json
import allometry.report.page
heavy = [name for name in ("torch", "numpy", "pandas", "plotly", "rich") if name in sys.modules]
import report_bundle
content = report_bundle.bundle(seeds=15, sizes=4)
start = time.process_time()
text = allometry.report.page.render(content)
seconds = time.process_time() - start
print(json.dumps({"heavy": heavy, "runs": len(content["runs"]), "seconds": seconds, "bytes": len(text.encode())}))
"""


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


def without_some(value: Any, chance: random.Random, share: float) -> Any:
    """The same document with a share of its numbers missing."""
    if isinstance(value, dict):
        return {key: without_some(item, chance, share) for key, item in value.items()}
    if isinstance(value, list):
        return [without_some(item, chance, share) for item in value]
    lost = isinstance(value, int | float) and not isinstance(value, bool) and chance.random() < share
    return None if lost else value


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_any_number_may_be_missing(share):
    content = without_some(report_bundle.bundle(), random.Random(int(10 * share)), share)
    read = Reader(page.render(content))
    assert [a["id"] for tag, a in read.tags if tag == "section" and a["id"] != "target"] == SECTIONS
    assert not {"nan", "None"} & set(read.text.split())


def test_a_hostile_name_is_shown_and_never_run(full):
    read = Reader(full)
    assert report_bundle.HOSTILE in read.text
    scripts = [attributes for tag, attributes in read.tags if tag == "script"]
    assert scripts == [{}, {"type": "application/json", "id": "data"}, {}]
    assert "alert(1)" in read.data
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_no_text_in_the_data_ends_its_script():
    content = report_bundle.bundle()
    content["answer"]["curves"]["flops"][0]["law"] = "</script ><script >alert(2)</script ><!--"
    text = page.render(content)
    assert text.lower().count("</script") == 3  # a browser ends a script at these letters, whatever follows
    assert "alert(2)" in Reader(text).data


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


def test_a_thousand_runs_are_drawn_fast_and_small_and_load_nothing_heavy():
    here = str(Path(__file__).parent)
    ended = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, cwd=here)
    measured = json.loads(ended.stdout)
    assert measured["heavy"] == []
    assert measured["runs"] > 1000
    assert measured["seconds"] < 1.5  # 0.3 on a machine of two cores
    assert measured["bytes"] < 6e6


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


WIDTHS = "[...document.querySelectorAll('.main-svg')].map(figure => figure.clientWidth)"


def until(shown: Any, condition: str) -> None:
    """Wait until a script says true: figures follow the window a moment later, and the machine may be busy."""
    end = time.monotonic() + 15
    while not shown.evaluate(condition):
        assert time.monotonic() < end, condition
        shown.wait_for_timeout(30)


def resize(shown: Any, width: int) -> None:
    """Give the window a width and wait until the figures have followed."""
    shown.set_viewport_size({"width": width, "height": 900})
    limit = f"> {width // 2}" if width > 600 else f"< {width}"
    until(shown, f"Math.max(...{WIDTHS}) {limit} && document.documentElement.scrollWidth <= {width}")


@pytest.fixture
def shown(opened: tuple[Any, list[str]]) -> Iterator[Any]:
    """The page as it opens, whatever the test before it did; no test may leave a complaint."""
    page_, trouble = opened
    page_.emulate_media(media="screen", color_scheme="light")
    page_.select_option("#figure-loss [data-control=view]", "flops")
    page_.uncheck("#figure-loss [data-control=tuning]")
    resize(page_, 1180)
    yield page_
    assert trouble == []


def x_title(shown: Any) -> str:
    """The title of the main figure's x axis, as drawn."""
    return shown.locator("#figure-loss .xtitle").text_content()


def marks_drawn(shown: Any) -> list[str]:
    """Where the points of the main figure stand."""
    return shown.eval_on_selector_all("#figure-loss .points path", "paths => paths.map(p => p.getAttribute('transform'))")


def test_every_figure_is_drawn_without_complaint(shown):
    plots = shown.locator("[data-figure] .js-plotly-plot")
    assert (
        plots.count() == shown.locator("[data-figure]").count() == 13
    )  # loss, 4 + 4 panels, training, positions, reach, parts
    drawn = plots.evaluate_all("all => all.map(plot => plot.querySelectorAll('.trace path').length)")
    assert min(drawn) > 0


def test_the_axis_switch_changes_title_and_points(shown):
    seen = {}
    for axis in ("flops", "seconds", "parameters", "memory", "flops"):
        shown.select_option("#figure-loss [data-control=view]", axis)
        seen.setdefault(axis, (x_title(shown), marks_drawn(shown)))
        assert (x_title(shown), marks_drawn(shown)) == seen[axis]  # and back again
    assert len({title for title, _ in seen.values()}) == 4
    assert len({tuple(places) for _, places in seen.values()}) == 4
    assert "seconds" in seen["seconds"][0]


def test_cost_axes_say_whole_numbers_that_do_not_touch(shown):
    for width in (1180, 390):
        resize(shown, width)
        for axis in ("flops", "seconds"):
            shown.select_option("#figure-loss [data-control=view]", axis)
            texts = shown.locator("#figure-loss .xtick text").all_text_contents()
            assert len(texts) >= 3
            assert len(set(texts)) == len(texts)  # a bare digit would come again in each decade
            read = [parse(text) for text in texts]
            assert read == sorted(read)
            low, high = (3e11, 2e14) if axis == "flops" else (2, 2e3)  # a little beyond the runs
            assert all(low < value < high for value in read)
            boxes = [tick.bounding_box() for tick in shown.locator("#figure-loss .xtick text").all()]
            assert all(a["x"] + a["width"] < b["x"] for a, b in itertools.pairwise(boxes) if a and b)


def test_tuning_runs_laws_and_families_can_be_switched(shown):
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


def test_nothing_is_wider_than_a_phone(shown):
    resize(shown, 390)
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    too_wide = "all => all.filter(e => e.getBoundingClientRect().right > 391).length"
    assert shown.eval_on_selector_all("main > section > *, .main-svg, .segment", too_wide) == 0


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


def test_the_dark_page_and_its_figures_are_readable_and_paper_is_light(shown):
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
    whole = "all => all.every(figure => getComputedStyle(figure).breakInside === 'avoid')"
    assert shown.eval_on_selector_all("figure", whole)  # still on paper: no page cuts a figure
    assert grounds[0] == grounds[2] != grounds[1]


def test_paper_unfolds_the_page_and_folds_it_again(shown):
    shown.locator("details").first.evaluate("box => { box.open = true; }")  # as the reader left it
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.locator("details:not([open])").count() == 0
    # At once, as a page is laid out right after the event; A4 with margins of 1 cm has 718 of these pixels.
    assert max(shown.evaluate(WIDTHS)) <= 718
    assert max(shown.evaluate(WIDTHS.replace(".main-svg", ".panel .main-svg"))) <= 718 / 2
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.locator("details[open]").count() == 1
    until(shown, f"Math.max(...{WIDTHS}) > 1000")  # wide again

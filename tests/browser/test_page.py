"""What a person does with the page, in a real browser: clicks, filters, keys; narrow, wide, dark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import arboretum_tools as at
from arboretum_tools.testing.tiny import MARKUP, tiny_split, tiny_store, with_markup

pytestmark = pytest.mark.browser

VIEWS = {
    "overview": "document.querySelectorAll('.facet').length > 3",
    "taxa": "document.querySelectorAll('.taxon').length > 5",
    "photos": "[...document.querySelectorAll('.cell img')].filter((i) => i.naturalWidth).length > 3",
    "places": "document.querySelectorAll('.map .square').length > 3",
    "predictions": "document.querySelectorAll('.confusion td.right').length > 3",
    "comparison": "document.querySelectorAll('.errors img').length > 3",
    "marks": "document.querySelector('main h2') !== null",
}

#: Texts that cannot be read well, with their contrast.
CONTRAST = Path(__file__).with_name("contrast.js").read_text("utf-8").partition("\n")[2]

#: Controls and pictures without a name.
NAMELESS = """
[...document.querySelectorAll("button, a[href], input, select, img, [role=grid], [role=tree], svg[role=img]")]
  .filter((e) => e.checkVisibility() && !e.closest("[aria-hidden=true]"))
  .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.hasAttribute("alt") || e.title))
  .map((e) => e.outerHTML.slice(0, 80))
"""


def go(chromium, page, view, query=""):
    chromium.open(f"{page.url}#{view}{query}")
    chromium.until(VIEWS[view])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_can_be_read_and_is_named(chromium, page, keep, view, width, dark):
    chromium.size(width, 900, dark=dark)
    go(chromium, page, view)
    keep(f"{view}-{width}-{'dark' if dark else 'light'}")
    assert chromium.run("document.documentElement.scrollWidth") <= width
    assert chromium.run(
        "document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth"
    )
    assert chromium.run(CONTRAST) == []
    assert chromium.run(NAMELESS) == []


def test_brushing_the_tail_takes_its_classes(chromium, page, birds):
    go(chromium, page, "overview")
    x, y, width = chromium.run(
        "(() => { const r = document.querySelector('svg.tail').getBoundingClientRect();"
        "return [r.x, r.y + r.height / 2, r.width]; })()"
    )
    step = width / birds.num_classes
    chromium.drag((x + 11.5 * step, y), (x + 20.5 * step, y))
    chromium.until("location.hash.includes('places=11%2C20')")
    chromium.until("document.querySelector('.number b').textContent === '215'")
    assert chromium.run("document.querySelector('.chip').textContent").startswith(
        "Places in the tail12 to 21"
    )


def test_the_tail_says_its_scale_and_its_train_photos(chromium, page):
    go(chromium, page, "overview")
    pressed = "document.querySelector('.scale [aria-pressed=true]').textContent"
    low = "Number([...document.querySelectorAll('svg.tail .bar')].at(-1).getAttribute('height'))"
    assert chromium.run(pressed) == "Linear"
    linear = chromium.run(low)
    chromium.click(".scale button:last-child")
    assert chromium.run(pressed) == "Log"
    assert chromium.run(low) > linear
    few = "document.querySelector('.band:nth-child(3)').textContent"
    assert chromium.run(few).endswith("10 classes, 65 train photos")
    go(chromium, page, "overview", "?part=test")
    assert chromium.run(few).endswith("10 classes, 100 photos")
    chromium.run("localStorage.clear()")


@pytest.mark.parametrize("view", ["predictions", "comparison"])
def test_lists_scroll_one_way_and_cut_no_name(chromium, page, view):
    go(chromium, page, view)
    assert chromium.run(
        "[...document.querySelectorAll('.facet.tall, .facet.tall .text, .errors .caption > *')]"
        ".filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)"
    ) == []  # fmt: skip


def test_clicks_filter_and_chips_take_filters_away(chromium, page):
    go(chromium, page, "overview")
    chromium.click(".band:nth-child(3)")
    chromium.until("location.hash === '#overview?band=few'")
    chromium.until("document.querySelector('.number b').textContent === '215'")
    chromium.click(".facet .row")
    chromium.until("document.querySelectorAll('.chip').length === 2")
    chromium.click(".chip")
    chromium.until("!location.hash.includes('band')")
    chromium.run("history.back()")
    chromium.until("location.hash.includes('band=few')")


def test_search_completes_and_leads_to_the_photos(chromium, page):
    go(chromium, page, "overview")
    chromium.press("/")
    chromium.type("sparr")
    chromium.until("document.querySelector('#found [role=option]') !== null")
    assert chromium.run("document.querySelector('#found b').textContent") == "House Sparrow"
    chromium.press("ArrowDown")
    assert chromium.run("document.querySelector('#found [aria-selected=true]').id") == "found-0"
    chromium.press("Enter")
    chromium.until("location.hash.startsWith('#photos?label=0')")
    chromium.until("document.querySelector('.cell b')?.textContent === 'House Sparrow'")


def test_the_tree_opens_down_to_a_species(chromium, page):
    go(chromium, page, "taxa")
    for name in ("Passeriformes", "Passeridae"):
        chromium.click(f"[aria-label='Open {name}']")
    chromium.until(
        "[...document.querySelectorAll('.taxon i')].some((e) => e.textContent === 'Passer domesticus')"
    )


def test_the_grid_holds_what_is_seen_and_no_more(chromium, page, birds):
    go(chromium, page, "photos")
    total = sum(birds.num_photos(part) for part in birds.parts)
    assert chromium.run("document.querySelector('.bar-above b').textContent") == f"{total:,} photos"
    assert chromium.run("document.querySelectorAll('.cell').length") < 100
    chromium.run("document.querySelector('.grid').scrollTop = 1e9")
    last = chromium.until(
        "(() => { const c = [...document.querySelectorAll('.cell:not([data-empty])')];"
        "const top = document.querySelector('.grid').scrollTop;"
        "return c.length && top > 1000 && c.map((e) => e.dataset.photo); })()"
    )
    tail = birds.part("test").to_pylist()[-1]["photo_id"]
    chromium.until(f"document.querySelector('[data-photo=\"{tail}\"]') !== null")
    assert len(last) < 100


def test_photos_are_walked_through_and_marked_by_keys(chromium, page, tmp_path, keep):
    go(chromium, page, "photos")
    chromium.press("ArrowRight")
    chromium.press("Enter")
    chromium.until("document.querySelector('dialog .place')?.textContent === '2 of 1,271'")
    chromium.until("document.querySelector('dialog img.whole').naturalWidth > 0")
    chromium.press("ArrowRight")
    chromium.until("document.querySelector('dialog .place').textContent === '3 of 1,271'")
    keep("photo")
    assert chromium.run(CONTRAST) == []
    chromium.press("1")
    chromium.until("document.querySelector('.marking [aria-pressed=true]')?.textContent === '1 wrong label'")
    photo = chromium.run("document.querySelector('dialog dd a[target]').textContent").removeprefix("photo ")
    assert (tmp_path / "marks.csv").read_text() == f"photo_id,reason\n{photo},wrong label\n"
    chromium.press("Escape")
    chromium.until("document.querySelector('dialog[open]') === null")
    chromium.until("document.querySelector('.flag')?.textContent === 'wrong label'")
    go(chromium, page, "marks")
    keep("marked")
    chromium.click(".marked .quiet")
    chromium.until("document.querySelector('main h2').textContent === '0 marked photos'")
    assert (tmp_path / "marks.csv").read_text() == "photo_id,reason\n"


def test_a_cell_of_the_map_and_a_month_filter(chromium, page):
    go(chromium, page, "places")
    chromium.click(".map .square")
    chromium.until("location.hash.includes('cell=')")
    chromium.until("document.querySelectorAll('.map .square').length === 1")
    chromium.click(".calendar thead button")
    chromium.until("location.hash.includes('month=1')")


def test_look_alikes_are_shown_side_by_side(chromium, page, keep):
    go(chromium, page, "predictions")
    names = "document.querySelector('.confusion').textContent"
    assert "Canada Goose" in chromium.run(names)
    assert "Branta canadensis" not in chromium.run(names)
    chromium.click(".facet.tall .row")
    chromium.until("document.querySelectorAll('#pair .sides > div').length === 2")
    chromium.until("[...document.querySelectorAll('#pair img')].filter((i) => i.naturalWidth).length > 1")
    keep("look-alikes")
    chromium.run(
        "(() => { const s = document.querySelector('.confusion').closest('section').querySelector('select');"
        "s.value = 'order'; s.dispatchEvent(new Event('change')); })()"
    )
    chromium.until(
        "[...document.querySelectorAll('.confusion tbody th')].some((e) => e.textContent === 'Passeriformes')"
    )


def test_two_models_are_told_apart_down_to_a_class(chromium, page):
    go(chromium, page, "comparison")
    all_of_them = chromium.run("document.querySelectorAll('.errors .bare').length")
    chromium.click(".facet.tall .row")
    chromium.until("location.hash.startsWith('#comparison?label=')")
    chromium.until("document.querySelector('.facet.tall .row').getAttribute('aria-pressed') === 'true'")
    shown = chromium.run("[...document.querySelectorAll('.errors b')].map((e) => e.textContent)")
    assert 0 < len(shown) < all_of_them
    assert len(set(shown)) == 1
    go(chromium, page, "predictions")
    first = chromium.run("document.querySelector('.number b').textContent")
    chromium.run(
        "(() => { const s = document.querySelector('.choose select');"
        "s.value = '1'; s.dispatchEvent(new Event('change')); })()"
    )
    chromium.until(f"document.querySelector('.number b').textContent !== {json.dumps(first)}")
    chromium.run("sessionStorage.clear()")


def test_an_observer_is_found_and_filters(chromium, page, birds):
    name = birds.part("train")["observer_name"][0].as_py()
    go(chromium, page, "overview")
    chromium.press("/")
    chromium.type(name)
    chromium.until("document.querySelector('#found .count')?.textContent.startsWith('observer')")
    chromium.press("Enter")
    chromium.until("location.hash.includes('observer=')")
    chromium.until("document.querySelector('.cell') !== null")
    chromium.click(".cell")
    chromium.until(
        f"[...document.querySelectorAll('dialog dd a')].some((e) => e.textContent === {json.dumps(name)})"
    )
    chromium.press("Escape")


def test_the_theme_that_was_chosen_stays(chromium, page):
    go(chromium, page, "overview")
    chromium.click("#theme")
    assert chromium.run("document.documentElement.dataset.theme") == "dark"
    go(chromium, page, "marks")
    assert chromium.run("document.documentElement.dataset.theme") == "dark"
    chromium.run("localStorage.clear()")


@pytest.mark.parametrize("view", [*VIEWS, "photo", "search"])
def test_markup_in_names_never_runs(chromium, tmp_path, view):
    split = with_markup(tiny_split())
    tiny_store(tmp_path / "images", split)
    labels = tmp_path / "labels.csv"
    ids = split.part("test")["photo_id"].to_pylist()
    labels.write_text(
        "photo_id,label\n" + "".join(f"{one},{position % 4}\n" for position, one in enumerate(ids))
    )
    others = tmp_path / "others.csv"
    others.write_text(labels.read_text().replace(",0\n", ",1\n"))
    with at.browse(
        split,
        images=tmp_path / "images",
        predictions=[labels, others],
        marks=tmp_path / "m.csv",
        port=0,
        open=False,
    ) as page:
        chromium.open(f"{page.url}#{view if view in VIEWS else 'photos'}")
        chromium.until(
            "document.querySelector('main').childElementCount && !document.querySelector('.waiting')"
        )
        if view == "photo":
            chromium.click(".cell")
            chromium.until("document.querySelector('dialog dl') !== null")
        if view == "search":
            chromium.run("document.getElementById('search').focus()")
            chromium.type("<script")
            chromium.until("document.querySelector('#found [role=option]') !== null")
        chromium.until(f"document.body.textContent.includes({json.dumps(MARKUP[:20])})")
        assert chromium.run("window.pwned") is None
        assert chromium.run("document.querySelectorAll('script:not([src]), img[src=x]').length") == 0
        chromium.open("about:blank")


def test_a_gallery_opens_from_disk(chromium, birds, tmp_path, keep):
    page = at.save_gallery(
        birds, images=birds.path.parent / "images", show="band=few", most=60, to=tmp_path / "g"
    )
    chromium.open(page.as_uri())
    chromium.until("document.querySelectorAll('figure').length === 60")
    chromium.until("document.querySelector('img').naturalWidth > 0")
    keep("gallery")
    assert chromium.run("document.documentElement.scrollWidth") <= 1440

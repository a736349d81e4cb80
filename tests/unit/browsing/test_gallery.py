"""The page that needs no server."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

import arboretum_tools as at
from arboretum_tools.errors import MissingPhotosError, TargetExistsError, UsageError
from arboretum_tools.testing.tiny import MARKUP, tiny_split, tiny_store, with_markup


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_it_shows_the_photos_of_the_filter_with_their_credits(tmp_path):
    split = tiny_split()
    tiny_store(tmp_path / "images", split)
    page = at.save_gallery(split, images=tmp_path / "images", show="part=test", to=tmp_path / "gallery")
    elements = Elements(page)
    shown = [about["src"] for tag, about in elements.found if tag == "img"]
    ids = split.part("test")["photo_id"].to_pylist()
    assert sorted(shown) == sorted(f"photos/{photo}.jpg" for photo in ids)
    assert all((page.parent / name).is_file() for name in shown)
    assert "(c) Observer" in elements.text
    assert "licence not known" in elements.text
    assert "American Robin" in elements.text


def test_a_limit_is_dealt_out_over_the_classes(tmp_path):
    split = tiny_split()
    tiny_store(tmp_path / "images", split)
    page = at.save_gallery(split, images=tmp_path / "images", most=8, to=tmp_path / "gallery")
    text = page.read_text("utf-8")
    assert text.count("<figure>") == 8
    assert [section.count("<figure>") for section in text.split("<section>")[1:]] == [2, 2, 2, 2]


def test_markup_in_names_stays_text_and_nothing_runs(tmp_path):
    split = with_markup(tiny_split())
    tiny_store(tmp_path / "images", split)
    elements = Elements(at.save_gallery(split, images=tmp_path / "images", to=tmp_path / "gallery"))
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "b", "iframe"}
    assert not [name for _, about in elements.found for name in about if name.startswith("on")]
    assert MARKUP in elements.text
    addresses = {about[name] for _, about in elements.found for name in ("src", "href") if name in about}
    assert all(
        one.startswith(("photos/", "gallery.css", "https://www.inaturalist.org/")) for one in addresses
    )


def test_nothing_is_written_over_or_without_a_photo(tmp_path):
    split = tiny_split()
    tiny_store(tmp_path / "images", split)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text").touch()
    with pytest.raises(TargetExistsError):
        at.save_gallery(split, images=tmp_path / "images", to=tmp_path / "mine")
    with pytest.raises(MissingPhotosError):
        at.save_gallery(split, images=tmp_path / "images", show="observer=nobody", to=tmp_path / "new")
    with pytest.raises(UsageError, match="--out"):
        at.save_gallery(split, images=tmp_path / "images")
    with pytest.raises(UsageError, match="no filter"):
        at.save_gallery(split, images=tmp_path / "images", show="colour=red", to=tmp_path / "new")
    assert not (tmp_path / "new").exists()

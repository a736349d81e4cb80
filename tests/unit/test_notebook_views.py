"""What notebooks show of objects."""

from html.parser import HTMLParser

import pyarrow as pa
import pytest

import arboretum_tools as at
from arboretum_metadata.sample import catalog_path
from arboretum_tools.display.notebook_views import curve
from arboretum_tools.errors import UsageError
from arboretum_tools.store.shards.layout import tar_path
from arboretum_tools.testing.tiny import MARKUP, tiny_split, tiny_store, with_markup


class Shown(HTMLParser):
    """Elements and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name == "src"]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text += data


def test_a_selection_shows_its_counts_and_first_species():
    shown = Shown(at.open_catalog(catalog_path()).select("Aves")._repr_html_())
    assert "class Aves; research grade" in shown.text
    assert "1,436 photos of 28 species" in shown.text
    assert "Passer domesticusHouse Sparrow320" in shown.text
    assert "and 18 more" in shown.text


def test_a_split_shows_its_tail_and_parts():
    split = tiny_split()
    shown = Shown(split._repr_html_())
    assert shown.tags.count("rect") == split.num_classes
    assert "train58" in shown.text


def test_a_subset_shows_photos_of_its_head_and_tail(tmp_path):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    shown = Shown(at.load_subset(split, images=store.path, part="train")._repr_html_())
    assert len(shown.sources) == 8
    assert all(source.startswith("data:image/jpeg;base64,") for source in shown.sources)
    assert "American Robin" in shown.text
    assert "Raven" in shown.text


def test_a_subset_without_its_photos_is_still_shown(tmp_path):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    subset = at.load_subset(split, images=store.path, part="train")
    for shard in store.shards():
        tar_path(store.path, shard).unlink()
    assert "American Robin" not in Shown(subset._repr_html_()).text


def test_an_empty_subset_is_shown(tmp_path):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    assert "0 photos" in Shown(at.load_subset(split, images=store.path, part="train")[:0]._repr_html_()).text


def test_names_stay_text(tmp_path):
    split = with_markup(tiny_split())
    store = tiny_store(tmp_path / "images", split)
    for text in (
        split._repr_html_(),
        at.load_subset(split, images=store.path, part="train")._repr_html_(),
    ):
        shown = Shown(text)
        assert MARKUP in shown.text
        assert "script" not in shown.tags
        assert "x" not in shown.sources


def test_a_part_shows_as_many_photos_as_are_asked_for_of_every_class(tmp_path):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    train = at.load_subset(split, images=store.path, part="train")
    for n, by in ((8, "class"), (9, "class"), (4, None), (500, "class")):
        shown = Shown(train.show(n, by=by).html)
        assert len(shown.sources) == min(n, len(train))
    two_each = Shown(train.show(8, by="class").html).text
    assert [two_each.count(name) for name in ("American Robin", "Raven")] == [2, 2]
    with pytest.raises(UsageError, match="n must be 1 or more"):
        train.show(0)
    with pytest.raises(UsageError, match="cannot be shown by 'colour'"):
        train.show(3, by="colour")


def test_reports_catalogues_stores_and_audits_show_what_they_say(tmp_path):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    split.save(tmp_path / "split")
    found = Shown(at.verify_store(store.path)._repr_html_())
    assert "Verification" in found.text
    assert f"photos{sum(split.num_photos(part) for part in split.parts)}" in found.text
    report = at.export(split, images=store.path, to=tmp_path / "csv", format="csv")
    assert "Export report" in Shown(report._repr_html_()).text
    assert "photos, train58" in Shown(report._repr_html_()).text
    stats = at.split_stats(split)
    assert Shown(stats._repr_html_()).tags.count("rect") == split.num_classes
    assert stats.plot()._repr_html_() == split.plot().html
    audit = at.audit_split(tmp_path / "split")
    assert audit.checks[0].name in Shown(audit._repr_html_()).text
    assert "shards" in Shown(store._repr_html_()).text
    catalog = at.open_catalog(catalog_path())
    assert "raw" in Shown(catalog._repr_html_()).text
    built = at.build_catalog(catalog_path(), tmp_path / "built")
    assert "Build report" in Shown(built._repr_html_()).text
    assert f"photos{built.photos:,}" in Shown(at.open_catalog(tmp_path / "built")._repr_html_()).text


@pytest.mark.parametrize(("classes", "bars"), [(0, 0), (1, 1), (400, 400), (300_000, 400)])
def test_a_curve_has_no_more_bars_than_can_be_seen(classes, bars):
    drawn = curve(list(range(classes, 0, -1)))
    assert drawn.count("<rect") == bars
    assert len(drawn) < 60_000


def test_selections_and_subsets_are_read_by_whatever_reads_arrow(tmp_path):
    split = tiny_split()
    subset = at.load_subset(split, images=tiny_store(tmp_path / "images", split).path, part="test")
    owls = at.open_catalog(catalog_path()).select("Strigiformes")
    for one in (subset, owls):
        assert pa.table(one).equals(one.to_arrow())
        assert len(one.to_arrow())

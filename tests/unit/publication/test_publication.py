"""A split as a publication: read as a repository, a citation manager and a search engine would."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from arboretum_metadata.sample import catalog_path
from arboretum_tools import audit_split, make_split, open_catalog, open_split, publish_split
from arboretum_tools.errors import ExportError, TargetExistsError, UsageError
from arboretum_tools.publication.citations import own_bibtex
from arboretum_tools.publication.composition import Composition
from arboretum_tools.publication.datasheet import bias
from arboretum_tools.testing.tiny import tiny_split


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    made = make_split(
        open_catalog(catalog_path()).select("Aves"), lt_ratio=20, val_per_class=2, test_per_class=2
    )
    return open_split(made.save(tmp_path_factory.mktemp("splits") / "birds"), in_memory=False)


@pytest.fixture(scope="module")
def published(split, tmp_path_factory):
    return publish_split(
        split,
        to=tmp_path_factory.mktemp("published") / "birds",
        authors=["Doe, Jane", "The Lab"],
        doi="https://doi.org/10.5281/zenodo.1234567",
        title="Birds, | long-tailed",
    )


def test_it_is_one_flat_folder_and_a_split_that_keeps_its_promises(split, published):
    assert all(path.is_file() for path in published.path.iterdir())
    assert set(published.files) == {path.name for path in published.path.iterdir()}
    again = open_split(published.path)
    assert again.meta["split_sha256"] == split.meta["split_sha256"] == published.split_sha256
    assert audit_split(published.path).ok


def test_the_citation_names_authors_doi_and_papers(published):
    found = yaml.safe_load((published.path / "CITATION.cff").read_text("utf-8"))
    assert found["cff-version"] == "1.2.0"
    assert found["type"] == "dataset"
    assert found["title"] == "Birds, | long-tailed"
    assert found["authors"] == [{"family-names": "Doe", "given-names": "Jane"}, {"name": "The Lab"}]
    assert found["doi"] == published.doi == "10.5281/zenodo.1234567"
    assert [paper["year"] for paper in found["references"]] == [2024, 2024]
    assert {paper["title"].partition(":")[0] for paper in found["references"]} == {"Arboretum", "BioTrove"}


def test_croissant_describes_every_table(published):
    found = json.loads((published.path / "croissant.json").read_text())
    assert found["url"] == "https://doi.org/10.5281/zenodo.1234567"
    assert [(one["@type"], one["name"]) for one in found["creator"]] == [
        ("sc:Person", "Doe, Jane"), ("sc:Organization", "The Lab"),
    ]  # fmt: skip
    files = {one["@id"]: one for one in found["distribution"]}
    assert {one["contentUrl"] for one in files.values()} == {
        "classes.parquet", "train.parquet", "val.parquet", "test.parquet",
    }  # fmt: skip
    ids = set()
    for records in found["recordSet"]:
        (file,) = {field["source"]["fileObject"]["@id"] for field in records["field"]}
        path = published.path / files[file]["contentUrl"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == files[file]["sha256"]
        columns = {field["source"]["extract"]["column"] for field in records["field"]}
        assert columns == set(pq.read_schema(path).names)
        ids |= {field["@id"] for field in records["field"]}
        assert records["key"]["@id"] in ids
    references = [field["references"]["field"]["@id"] for one in found["recordSet"] for field in one["field"]
                  if "references" in field]  # fmt: skip
    assert references == ["classes/label"] * 3


def test_the_split_itself_is_cited_before_the_papers(split, published):
    cited = json.loads((published.path / "croissant.json").read_text())["citeAs"]
    own, *papers = cited.split("\n\n")
    assert own.splitlines() == [
        "@misc{birds-long-tailed,",
        "  title         = {{Birds, | long-tailed}},",
        "  author        = {Doe, Jane and {The Lab}},",
        "  doi           = {10.5281/zenodo.1234567},",
        f"  note          = {{Data set, split\\_sha256 {split.meta['split_sha256']}}}",
        "}",
    ]
    assert len(papers) == 2
    assert own in (published.path / "DATASHEET.md").read_text("utf-8")


def test_what_tex_would_take_for_its_own_is_written_for_it():
    entry = own_bibtex("50 % {x_1} \\", ["R&D"], None, "00")
    assert r"{{50 \% \{x\_1\} \textbackslash{}}}" in entry
    assert r"{{R\&D}}" in entry


def test_of_drawn_photos_both_descriptions_say_what_they_are_not_for(published):
    said = json.loads((published.path / "croissant.json").read_text())["rai:dataUseCases"]
    text = (published.path / "DATASHEET.md").read_text("utf-8")
    assert f"## Uses\n\n{said}\n" in text
    assert "Made for" not in text


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([3, 1], "2 observers; the most active one took 75 % of the photos whose observer is known (4)."),
        ([10] * 2 + [1] * 38, "the most active one took 17 % of the photos whose observer is known (58), "
         "and the most active 10 % took 38 %."),
        ([51] + [1] * 99, "the most active 1 % took 34 %"),
    ],
)  # fmt: skip
def test_no_share_of_observers_is_less_than_one(counts, said):
    found = Composition(photos=sum(counts), observers=Counter(dict(enumerate(counts))))
    assert said in bias(found)


def test_the_datasheet_counts_what_is_there(split, published):
    text = (published.path / "DATASHEET.md").read_text("utf-8")
    assert text.startswith("# Birds, \\| long-tailed\n")
    assert "10.5281/zenodo.1234567" in text
    assert "not taken" in text  # the sample's photos are drawn
    for part in split.parts:
        assert f"| {part} | {split.num_photos(part):,} |" in text
    licenses = [name for part in split.parts for name in split.part(part)["license"].to_pylist()]
    assert f"| CC-BY-NC | {licenses.count('CC-BY-NC'):,} |" in text
    assert f"| not known | {licenses.count(None):,} | may not be passed on |" in text


def test_shares_are_those_of_the_photos(split):
    observers, north, places = [], 0, 0
    for part in split.parts:
        table = split.part(part)
        observers += [one for one in table["observer_id"].to_pylist() if one is not None]
        for latitude, longitude in zip(
            table["latitude"].to_pylist(), table["longitude"].to_pylist(), strict=True
        ):
            if latitude is not None and longitude is not None:
                places += 1
                north += latitude >= 0
    found = Composition.of(split)
    assert found.north == north / places
    most = sorted((observers.count(one) for one in set(observers)), reverse=True)
    assert found.share_of_observers(0.1) == sum(most[: round(len(most) / 10)]) / len(observers)


def test_of_a_split_without_observers_places_and_days_nothing_is_made_up(tmp_path):
    split = tiny_split()
    tables = {}
    for part, table in split.tables.items():
        for name in ("observer_id", "latitude", "longitude", "observed_on"):
            at = table.schema.get_field_index(name)
            field = table.schema.field(at)
            table = table.set_column(at, field, pa.nulls(len(table), field.type))
        tables[part] = table
    found = publish_split(replace(split, tables=tables), to=tmp_path / "out", authors="Doe, Jane")
    text = (found.path / "DATASHEET.md").read_text("utf-8")
    assert "**Observers.**" not in text
    assert "**Places.**" not in text
    assert "observer of 77 photos" in text
    assert "none was given" in text
    assert "doi" not in yaml.safe_load((found.path / "CITATION.cff").read_text("utf-8"))
    assert found.doi is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"authors": " "}, "has an author"),
        ({"authors": "Doe, Jane; Roe, Max"}, "several authors"),
        ({"authors": ["The Lab", "Doe, Jane; Roe, Max"]}, "several authors"),
        ({"authors": ", Jane"}, "names no family"),
        ({"authors": ","}, "names no family"),
        ({"authors": "Doe\udcff, Jane"}, "cannot be printed"),
        ({"authors": "Doe, Jane", "title": "x\x1b[31m"}, "cannot be printed"),
        ({"authors": "Doe, Jane", "doi": "10.x/1"}, "is not a DOI"),
        ({"authors": "Doe, Jane", "doi": "10.5281/a b"}, "is not a DOI"),
    ],
)
def test_a_bad_value_is_an_error_before_anything_is_written(split, tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        publish_split(split, to=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_one_author_need_not_be_a_list(split, tmp_path):
    found = publish_split(split, to=tmp_path / "out", authors="Doe, Jane")
    cited = yaml.safe_load((found.path / "CITATION.cff").read_text("utf-8"))
    assert cited["authors"] == [{"family-names": "Doe", "given-names": "Jane"}]


def test_what_is_there_is_left_as_it_is(split, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(TargetExistsError):
        publish_split(split, to=tmp_path / "out", authors="Doe, Jane")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    with pytest.raises(ExportError, match="lies inside the split"):
        publish_split(split, to=Path(split.path) / "out", authors="Doe, Jane")

import datetime as dt
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from arboretum_metadata.sample import catalog_path
from arboretum_tools import make_split, open_catalog
from arboretum_tools.errors import UsageError
from arboretum_tools.exporting import HuggingFace, export
from arboretum_tools.exporting.documents.card import HUB_LICENSES
from arboretum_tools.exporting.documents.licenses import least_open
from arboretum_tools.photos.credit import credit_line
from arboretum_tools.split.make import whole
from arboretum_tools.testing.exporter_conformance import ExporterConformance, Given, Read
from arboretum_tools.testing.tiny import tiny_split, tiny_store

NAMES = {"train": "train", "val": "validation", "test": "test"}


def front_matter(folder: Path) -> dict[str, Any]:
    front, _ = (folder / "README.md").read_text("utf-8").removeprefix("---\n").split("\n---\n", 1)
    return yaml.safe_load(front)


class TestHuggingFace(ExporterConformance):
    # Small shards, so that a part has several files.
    exporter = HuggingFace(shard_bytes=20_000)

    def read(self, folder: Path, part: str) -> list[Read]:
        import datasets

        loaded = datasets.load_dataset(
            str(folder), split=NAMES[part], cache_dir=str(folder.parent / "cache" / folder.name)
        )
        raw = loaded.cast_column("image", datasets.Image(decode=False))
        return [Read(row["photo_id"], row["label"], row["image"]["bytes"]) for row in raw]

    def test_load_dataset_gives_images_and_class_labels(self, given: Given, tmp_path: Path) -> None:
        import datasets

        self.run(given, tmp_path / "out")
        loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
        assert list(loaded) == ["train", "validation", "test"]
        features = loaded["train"].features
        assert isinstance(features["image"], datasets.Image)
        assert features["label"].names == given.split.classes["name"].to_pylist()
        row = loaded["train"][0]
        assert row["image"].size == (32, 24)
        assert (row["width"], row["height"]) == (32, 24)
        rows = {row["photo_id"]: row for row in given.split.part("train").to_pylist()}
        for row in loaded["train"].remove_columns("image"):
            asked = rows[row["photo_id"]]
            assert row["license"] == asked["license"]
            assert row["observer_name"] == asked["observer_name"]
            assert row["credit"] == credit_line(asked["observer_name"], asked["license"])
            assert row["life_stage"] == asked["life_stage"]
            assert row["scientific_name"] == features["label"].int2str(row["label"])

    def test_leaks_and_bias_can_be_looked_for(self, given: Given, tmp_path: Path) -> None:
        import datasets

        table = given.split.part("train")
        days = [None if n % 3 == 0 else dt.date(1969, 12, 30) + dt.timedelta(n) for n in range(58)]
        places = {
            "latitude": [None if n % 2 else n - 29.5 for n in range(58)],
            "longitude": [None if n % 2 else 6.0 * n - 179 for n in range(58)],
            "observed_on": days,
        }
        for name, values in places.items():
            at = table.schema.get_field_index(name)
            table = table.set_column(
                at, table.schema.field(at), pa.array(values, table.schema.field(at).type)
            )
        split = replace(given.split, tables={**given.split.tables, "train": table})
        rows = {row["photo_id"]: row for row in table.to_pylist()}
        export(split, images=given.store.path, to=tmp_path / "out", format="hf")
        loaded = datasets.load_dataset(
            str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache")
        ).remove_columns("image")
        names = ("observation_id", "observer_id", "observed_on", "latitude", "longitude")
        for row in loaded:
            assert [row[name] for name in names] == [rows[row["photo_id"]][name] for name in names]
        export(split, images=given.store.path, to=tmp_path / "no", format="hf", place=False)
        (file,) = (tmp_path / "no" / "data").glob("train-*.parquet")
        assert not {"latitude", "longitude"} & set(pq.read_schema(file).names)
        card = (tmp_path / "no" / "README.md").read_text()
        assert "latitude" not in card
        assert "observation_id" in card

    def test_a_part_of_many_photos_has_files_for_several_workers(self, tmp_path: Path) -> None:
        split = tiny_split({"train": (300, 60, 40, 3)})
        store = tiny_store(tmp_path / "images", split)
        export(split, images=store.path, to=tmp_path / "out", format="hf")
        files = sorted(path.name for path in (tmp_path / "out" / "data").iterdir())
        assert files == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]

    def test_it_streams(self, given: Given, tmp_path: Path) -> None:
        import datasets

        self.run(given, tmp_path / "out")
        stream = datasets.load_dataset(str(tmp_path / "out"), split="validation", streaming=True)
        assert stream.features["label"].num_classes == 4
        found = [(row["photo_id"], row["label"], row["image"].size) for row in stream]
        table = given.split.part("val")
        asked = set(zip(table["photo_id"].to_pylist(), table["label"].to_pylist(), strict=True))
        assert {(photo_id, label) for photo_id, label, _ in found} == asked
        assert {size for *_, size in found} == {(32, 24)}

    def test_the_parquet_files_load_without_the_card(self, given: Given, tmp_path: Path) -> None:
        import datasets

        self.run(given, tmp_path / "out")
        loaded = datasets.load_dataset(
            "parquet",
            data_files=str(tmp_path / "out" / "data" / "train-*.parquet"),
            split="train",
            cache_dir=str(tmp_path / "cache"),
        )
        assert isinstance(loaded.features["image"], datasets.Image)
        assert isinstance(loaded.features["label"], datasets.ClassLabel)

    def test_files_are_numbered_and_even(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        files = sorted((tmp_path / "out" / "data").glob("train-*.parquet"))
        assert len(files) > 1
        assert [path.name for path in files] == [
            f"train-{number:05d}-of-{len(files):05d}.parquet" for number in range(len(files))
        ]
        rows = [pq.read_metadata(path).num_rows for path in files]
        assert max(rows) - min(rows) <= 1

    def test_images_are_stored_plain_in_small_row_groups(self, tmp_path: Path) -> None:
        split = tiny_split({"train": (150, 60, 20, 3)})
        store = tiny_store(tmp_path / "images", split)
        export(split, images=store.path, to=tmp_path / "out", format="hf")
        metadata = pq.read_metadata(tmp_path / "out" / "data" / "train-00000-of-00001.parquet")
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        assert [group.num_rows for group in groups] == [100, 100, 33]
        column = next(
            groups[0].column(number)
            for number in range(groups[0].num_columns)
            if groups[0].column(number).path_in_schema == "image.bytes"
        )
        assert column.compression == "UNCOMPRESSED"
        assert column.statistics is None
        assert not any("DICTIONARY" in encoding for encoding in column.encodings)

    def test_the_card_states_features_counts_and_licence(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        front = front_matter(tmp_path / "out")
        info = front["dataset_info"]
        assert front["license"] == "unknown"  # some photos of the tiny split have no known licence
        assert [split["name"] for split in info["splits"]] == ["train", "validation", "test"]
        assert [split["num_examples"] for split in info["splits"]] == [
            given.split.part(part).num_rows for part in given.split.parts
        ]
        names = next(f for f in info["features"] if f["name"] == "label")["dtype"]["class_label"]["names"]
        assert list(names.values()) == given.split.classes["name"].to_pylist()
        data = (tmp_path / "out" / "data").iterdir()
        assert info["download_size"] == sum(path.stat().st_size for path in data)

    def test_the_card_counts_licences_and_states_the_strictest(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        text = (tmp_path / "out" / "README.md").read_text("utf-8")
        counts: Counter[str] = Counter()
        for part in given.split.parts:
            counts.update(name or "not known" for name in given.split.part(part)["license"].to_pylist())
        for name, count in counts.items():
            assert f"| {name} | {count} |" in text
        assert "most restrictive licence among them is **CC-BY-NC**" in text
        assert "may not be passed on" in text

    def test_names_cannot_break_the_card(self, tmp_path: Path) -> None:
        split = tiny_split(name='"x": [<b>|`\n---\nlicense: mit')
        store = tiny_store(tmp_path / "images", split)
        export(split, images=store.path, to=tmp_path / "out", format="hf")
        assert front_matter(tmp_path / "out")["pretty_name"] == '"x": [<b>|` --- license: mit'
        assert front_matter(tmp_path / "out")["license"] == "unknown"
        body = (tmp_path / "out" / "README.md").read_text("utf-8").split("\n---\n", 1)[1]
        assert "<b>" not in body.replace("\\<", "")

    def test_options_of_another_format_are_refused(self, given: Given, tmp_path: Path) -> None:
        with pytest.raises(
            UsageError, match=r"(?s)hf has no option samples-per-shard.*It has place, shard-bytes\."
        ):
            export(
                given.split, images=given.store.path, to=tmp_path / "out", format="hf", samples_per_shard=5
            )
        with pytest.raises(UsageError, match="no export format"):
            export(given.split, images=given.store.path, to=tmp_path / "out", format="zip")
        assert not (tmp_path / "out").exists()


def test_the_strictest_licence_is_the_least_open_one_that_is_known() -> None:
    assert least_open({"CC0": 3, "CC-BY-NC": 1, "CC-BY": 9, "not known": 1}) == "CC-BY-NC"
    assert least_open({"not known": 1}) is None


def test_the_hub_knows_every_licence() -> None:
    from arboretum_metadata.vocab import LICENSES

    assert list(HUB_LICENSES) == list(LICENSES)


def test_the_schema_metadata_is_what_datasets_reads(tmp_path: Path) -> None:
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    export(split, images=store.path, to=tmp_path / "out", format="hf", parts=["val"])
    schema = pq.read_schema(tmp_path / "out" / "data" / "validation-00000-of-00001.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {
        "_type": "ClassLabel",
        "names": split.classes["name"].to_pylist(),
    }


def test_a_card_says_what_was_drawn_and_tags_what_was_made_long_tailed(tmp_path: Path) -> None:
    catalog = open_catalog(catalog_path())
    cards, croissants = {}, {}
    for name, split in {
        "split": make_split(catalog.select(taxa="Turdus"), lt_ratio=2, val_per_class=2, test_per_class=2),
        "selection": whole(catalog.select(taxa="Turdus")),
    }.items():
        store = tiny_store(tmp_path / f"{name}-images", split)
        export(split, images=store.path, to=tmp_path / name, format="hf")
        cards[name] = (tmp_path / name / "README.md").read_text("utf-8")
        croissants[name] = json.loads((tmp_path / name / "croissant.json").read_text())
    for name, card in cards.items():
        assert "not taken" in card
        assert "from iNaturalist" not in card
        assert croissants[name]["rai:dataCollectionType"] == "Synthetic"
        # Both cite the same, under both titles of the paper.
        assert croissants[name]["citeAs"] in card
        assert "title         = {Arboretum:" in card
        assert "title         = {BioTrove:" in card
    assert front_matter(tmp_path / "split")["tags"] == ["biodiversity", "synthetic", "long-tailed"]
    assert front_matter(tmp_path / "selection")["tags"] == ["biodiversity", "synthetic"]
    assert '"split_sha256"' in cards["split"]


def test_duckdb_counts_over_the_files(tmp_path: Path) -> None:
    import duckdb

    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    export(split, images=store.path, to=tmp_path / "out", format="hf")
    found = duckdb.sql(
        "SELECT scientific_name, count(*), count(image.bytes) "
        f"FROM '{tmp_path}/out/data/train-*.parquet' GROUP BY ALL ORDER BY 2 DESC"
    ).fetchall()
    classes = split.classes.to_pylist()
    assert found == [(row["scientific_name"], row["n_train"], row["n_train"]) for row in classes]

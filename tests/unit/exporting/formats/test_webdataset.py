import ast
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import webdataset
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from arboretum_tools.errors import ExportError, UsageError
from arboretum_tools.exporting import WebDataset, export
from arboretum_tools.exporting.tar_members import Members
from arboretum_tools.store.shards import tar
from arboretum_tools.system.atomic_files import canonical_json
from arboretum_tools.taxa.captions import ARBORETUM_CAPTIONS, CAPTION_TYPES, Templates
from arboretum_tools.testing.exporter_conformance import ExporterConformance, Given, Read
from arboretum_tools.testing.tiny import tiny_image, tiny_store


def samples_of(folder: Path, part: str) -> list[dict[str, Any]]:
    shards = sorted(str(path) for path in folder.glob(f"{part}-*.tar"))
    return list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))


class TestWebDataset(ExporterConformance):
    exporter = WebDataset(samples_per_shard=20)
    keeps_bytes = False

    def read(self, folder: Path, part: str) -> list[Read]:
        return [
            Read(int(sample["__key__"]), int(sample["cls"]), sample["jpg"])
            for sample in samples_of(folder, part)
        ]

    def test_every_sample_has_the_same_members_and_fields_of_one_type(
        self, given: Given, tmp_path: Path
    ) -> None:
        self.run(given, tmp_path / "out")
        samples = [s for part in given.split.parts for s in samples_of(tmp_path / "out", part)]
        requested = {"jpg", "cls", "json", "txt", *(f"{kind}.txt" for kind in ARBORETUM_CAPTIONS)}
        assert all({name for name in sample if not name.startswith("__")} == requested for sample in samples)
        fields = {
            tuple((name, type(value)) for name, value in json.loads(sample["json"]).items())
            for sample in samples
        }
        assert len(fields) == 1
        names = [name for name, _ in fields.pop()]
        assert names == sorted(names)

    def test_the_json_says_what_is_known_of_the_photo(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        rows = {row["photo_id"]: row for row in given.split.part("train").to_pylist()}
        classes = given.split.classes.to_pylist()
        for sample in samples_of(tmp_path / "out", "train"):
            message = json.loads(sample["json"])
            assert sample["json"].decode() == canonical_json(message)
            row = rows[int(sample["__key__"])]
            about = classes[row["label"]]
            assert message["photo_id"] == row["photo_id"]
            assert message["label"] == row["label"] == int(sample["cls"])
            assert message["sha256"] == hashlib.sha256(sample["jpg"]).hexdigest()
            assert (message["width"], message["height"]) == (32, 24)
            for name in ("license", "observer_name", "life_stage"):
                assert message[name] == (row[name] or "")
            for name in ("class_key", "scientific_name", "common_name", "kingdom", "order", "species"):
                assert message[name] == (about[name] or "")

    def test_captions_fall_back_and_txt_is_sci_com(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        by_label = {int(s["cls"]): s for s in samples_of(tmp_path / "out", "train")}
        assert by_label[0]["txt"] == b"a photo of Turdus migratorius with common name American Robin."
        assert by_label[1]["txt"] == by_label[1]["com.txt"] == b"a photo of Turdus merula."
        assert by_label[2]["taxon.txt"] == b"a photo of Plantae Laelia rosea."
        assert "ʻōpua" in by_label[2]["com.txt"].decode()

    def test_it_counts_what_it_made_into_jpegs(self, given: Given, tmp_path: Path) -> None:
        report = export(given.split, images=given.store.path, to=tmp_path / "out", format=self.exporter)
        assert report.details["made_anew"] == {"gif to jpeg": 1, "png to jpeg": 1, "webp to jpeg": 1}

    def test_the_sizes_files_agree_with_the_shards(self, given: Given, tmp_path: Path) -> None:
        out = tmp_path / "out"
        self.run(given, out)
        counted = {}
        for path in sorted(out.glob("*.tar")):
            with tarfile.open(path) as shard:
                counted[path.name] = sum(name.endswith(".jpg") for name in shard.getnames())
        assert json.loads((out / "sizes.json").read_text()) == counted
        # As open_clip reads it: `eval(open(len_filename, "r").read())`.
        train = given.split.part("train").num_rows
        assert ast.literal_eval((out / "__len__").read_text()) == train
        splits = json.loads((out / "_info.json").read_text())["splits"]
        assert list(splits) == ["test", "train", "val", "validation"]
        for name, split in splits.items():
            assert split["name"] == name
            assert split["num_samples"] == sum(split["shard_lengths"])
            assert [counted[shard] for shard in split["filenames"]] == split["shard_lengths"]
        assert sum(splits["train"]["shard_lengths"]) == train

    def test_members_are_named_so_that_every_reader_agrees_on_the_key(
        self, given: Given, tmp_path: Path
    ) -> None:
        self.run(given, tmp_path / "out")
        keys: list[str] = []
        for path in sorted((tmp_path / "out").glob("*.tar")):
            with tarfile.open(path) as shard:
                previous = None
                for member in shard:
                    assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
                    assert member.isreg()
                    key, _, suffix = member.name.partition(".")
                    assert key.isdigit()
                    assert suffix.lower() == suffix  # with the default captions
                    if key != previous:
                        keys.append(key)
                    previous = key
        # Adjacent members, and no key twice.
        assert len(keys) == len(set(keys))

    def test_hugging_faces_own_builder_reads_the_shards(self, given: Given, tmp_path: Path) -> None:
        import datasets

        self.run(given, tmp_path / "out")
        loaded = datasets.load_dataset(
            "webdataset",
            data_files={part: str(tmp_path / "out" / f"{part}-*.tar") for part in given.split.parts},
            cache_dir=str(tmp_path / "cache"),
        )
        for part in given.split.parts:
            table = given.split.part(part)
            assert loaded[part].num_rows == table.num_rows
            raw = loaded[part].cast_column("jpg", datasets.Image(decode=False))
            labels = dict(zip(table["photo_id"].to_pylist(), table["label"].to_pylist(), strict=True))
            assert {row["json"]["photo_id"]: row["cls"] for row in raw} == labels
            for row in raw:
                assert hashlib.sha256(row["jpg"]["bytes"]).hexdigest() == row["json"]["sha256"]
                assert row["txt"].startswith("a photo of ")
                assert row["json"]["common_name"] is not None

    def test_hugging_face_streams_the_shards(self, given: Given, tmp_path: Path) -> None:
        import datasets

        self.run(given, tmp_path / "out")
        stream = datasets.load_dataset(
            "webdataset",
            data_files={"train": str(tmp_path / "out" / "train-*.tar")},
            split="train",
            streaming=True,
        )
        found = [(row["json"]["photo_id"], row["jpg"].size) for row in stream]
        assert {photo_id for photo_id, _ in found} == set(given.split.part("train")["photo_id"].to_pylist())
        assert {size for _, size in found} == {(32, 24)}

    @pytest.mark.parametrize(
        ("asked", "suffixes"),
        [
            ("all", {f"{kind}.txt" for kind in CAPTION_TYPES}),
            ("none", set()),
            (["taxonTag", "com"], {"taxonTag.txt", "com.txt"}),
        ],
    )
    def test_captions_can_be_chosen(
        self, given: Given, tmp_path: Path, asked: Any, suffixes: set[str]
    ) -> None:
        export(given.split, images=given.store.path, to=tmp_path / "out", captions=asked)
        with tarfile.open(tmp_path / "out" / "val-000000.tar") as shard:
            found = {name.partition(".")[2] for name in shard.getnames()}
        assert found == {"jpg", "cls", "json", "txt"} | suffixes

    @pytest.mark.parametrize(
        ("even", "world_size", "workers", "shards", "size"),
        [("drop", 2, 3, 6, 9), ("repeat", 2, 3, 6, 10), ("drop", 1, 1, 5, 11), ("repeat", 8, 10, 80, 1)],
    )
    def test_even_shards_are_equal_and_a_multiple_of_all_workers(
        self, given: Given, tmp_path: Path, even: Any, world_size: int, workers: int, shards: int, size: int
    ) -> None:
        format_ = WebDataset(even=even, world_size=world_size, workers=workers)
        report = export(given.split, images=given.store.path, to=tmp_path / "out", format=format_)
        sizes = json.loads((tmp_path / "out" / "sizes.json").read_text())
        assert [n for name, n in sizes.items() if name.startswith("train")] == [size] * shards
        keys = [sample["__key__"] for sample in samples_of(tmp_path / "out", "train")]
        assert len(keys) == len(set(keys)) == shards * size
        ids = [int(key.partition("r")[0]) for key in keys]
        total = given.split.part("train").num_rows
        assert len(set(ids)) == min(total, shards * size)
        assert report.details["even"] == {
            "shards": shards,
            "samples_per_shard": size,
            "dropped": max(0, total - shards * size),
            "repeated": max(0, shards * size - total),
        }
        assert len(samples_of(tmp_path / "out", "test")) == given.split.part("test").num_rows
        info = json.loads((tmp_path / "out" / "_info.json").read_text())["splits"]["train"]
        assert info["num_samples"] == sum(info["shard_lengths"]) == shards * size

    def test_more_workers_than_samples_are_refused_where_none_may_be_repeated(
        self, given: Given, tmp_path: Path
    ) -> None:
        with pytest.raises(ExportError, match="58 samples cannot fill 80 equal shards"):
            export(
                given.split,
                images=given.store.path,
                to=tmp_path / "out",
                format=WebDataset(even="drop", world_size=80),
            )
        assert not (tmp_path / "out").exists()

    def test_kept_formats_are_refused_where_they_would_mix(self, given: Given, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="1 gif, 74 jpeg, 1 png, 1 webp"):
            export(given.split, images=given.store.path, to=tmp_path / "out", keep_formats=True)
        ids = [
            photo for part in given.split.parts for photo in given.split.part(part)["photo_id"].to_pylist()
        ]
        store = tiny_store(tmp_path / "png", given.split, formats=dict.fromkeys(ids, "PNG"))
        export(given.split, images=store.path, to=tmp_path / "out", keep_formats=True)
        for sample in samples_of(tmp_path / "out", "val"):
            assert sample["png"] == tiny_image(int(sample["__key__"]), "PNG")
            assert "jpg" not in sample

    def test_images_are_shrunk_to_the_size_asked_for_and_never_grown(
        self, given: Given, tmp_path: Path
    ) -> None:
        report = export(given.split, images=given.store.path, to=tmp_path / "out", resize=12)
        for sample in samples_of(tmp_path / "out", "train"):
            message = json.loads(sample["json"])
            image = Image.open(io.BytesIO(sample["jpg"]))
            assert image.size == (message["width"], message["height"]) == (16, 12)
            assert hashlib.sha256(sample["jpg"]).hexdigest() == message["sha256"]
        assert report.details["made_anew"]["resized"] == 74
        larger = export(given.split, images=given.store.path, to=tmp_path / "same", resize=100)
        assert "resized" not in larger.details["made_anew"]

    def test_templates_make_members_of_ones_own_and_may_replace_txt(
        self, given: Given, tmp_path: Path
    ) -> None:
        templates = Templates({"txt": ("$common_name of $family!",), "mine": ("a $kingdom",)})
        export(given.split, images=given.store.path, to=tmp_path / "out", templates=templates)
        by_label = {int(s["cls"]): s for s in samples_of(tmp_path / "out", "train")}
        assert by_label[0]["txt"] == b"American Robin of Turdidae!"
        assert by_label[1]["txt"] == b"a photo of Turdus merula."
        assert by_label[2]["mine.txt"] == b"a Plantae"


@pytest.mark.parametrize("captions", ["some", "taxon", ["sci", "latin"]])
def test_an_unknown_caption_type_is_refused_by_name(captions: Any) -> None:
    with pytest.raises(UsageError, match="caption type"):
        WebDataset(captions=captions)


def test_a_shard_of_no_samples_is_refused() -> None:
    with pytest.raises(UsageError, match="samples-per-shard must be 1 or more"):
        WebDataset(samples_per_shard=0)


@settings(deadline=None, derandomize=True)
@given_that(samples=st.integers(1, 200_000), samples_per_shard=st.none() | st.integers(1, 10_000))
def test_shards_differ_by_at_most_one_and_drop_nothing(samples: int, samples_per_shard: int | None) -> None:
    sizes = WebDataset(samples_per_shard=samples_per_shard).shard_sizes(samples)
    assert sum(sizes) == samples
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    assert max(sizes) <= (samples_per_shard or 1_000)
    if samples_per_shard is None and samples >= 200:
        assert len(sizes) >= 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"even": "pad"}, "known: drop, repeat"),
        ({"even": "drop", "workers": 0}, "workers must be 1 or more"),
        ({"resize": 0}, "resize must be 1 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        WebDataset(**options)


@settings(deadline=None, derandomize=True)
@given_that(
    st.integers(1, 10**12), st.dictionaries(st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.binary())
)
def test_members_made_once_are_those_of_the_tar_module(key: int, bodies: dict[str, bytes]) -> None:
    found = b"".join(Members(list(bodies.items())).parts(str(key)))
    assert found == b"".join(
        tar.header(f"{key}.{suffix}", len(body)) + body + tar.padding(len(body))
        for suffix, body in bodies.items()
    )

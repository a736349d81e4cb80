"""What every export format must do, as tests: subclass it, say which exporter, and read with the real reader.

    class TestMyFormat(ExporterConformance):
        exporter = MyFormat()

        def read(self, folder, part):
            ...

Needs pytest. The split and the store are those of `arboretum_tools.testing.tiny`.
"""
# ruff: noqa: D102 - the names of the tests say what they hold

from __future__ import annotations

import hashlib
import html
import io
import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from arboretum_metadata.schema import CLASSES
from arboretum_tools.errors import (
    ExportError,
    MissingPhotosError,
    OutOfSpaceError,
    SplitError,
    TargetExistsError,
    VerificationError,
)
from arboretum_tools.events import Event, Note, PhotoDone, StageFinished, StageStarted
from arboretum_tools.exporting import Exporter, export
from arboretum_tools.photos.credit import credit_line
from arboretum_tools.samples import join
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import tar_path
from arboretum_tools.testing.tiny import tiny_image, tiny_split, tiny_store

# Smaller than the shards of the tiny split, larger than its index files.
_FILE_LIMIT = 16_384


@dataclass(frozen=True, slots=True)
class Read:
    """One photo as the format's real reader gave it back."""

    photo_id: int
    label: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Given:
    """What the tests export.

    Attributes:
        split: in memory.
        store: holds every photo of it; one is a PNG, one a GIF, one a WebP.
        foreign: photo ids of those three and Pillow's name of their format.
    """

    split: Split
    store: ImageStore
    foreign: dict[int, str]


class ExporterConformance:
    """Subclassed once a format."""

    exporter: Exporter

    #: Whether the export keeps images that are no JPEG as they are; else they become JPEGs.
    keeps_bytes = True

    #: Whether the samples stand in an order that depends on the seed; else in that of the split.
    is_stream = True

    #: Smaller than the largest file of the export, larger than what is written before it.
    file_limit = _FILE_LIMIT

    def read(self, folder: Path, part: str) -> list[Read]:
        """Every sample of a part in its order, by the reader that the format is made for."""
        raise NotImplementedError

    @pytest.fixture
    def given(self, tmp_path: Path) -> Given:
        """A split and a store that holds all of it."""
        split = tiny_split()
        ids = split.part("train")["photo_id"].to_pylist()
        foreign = {ids[1]: "PNG", ids[20]: "GIF", ids[-1]: "WEBP"}
        return Given(split, tiny_store(tmp_path / "images", split, formats=foreign), foreign)

    def run(self, given: Given, to: Path, **options: object) -> object:
        """Exports as every test does."""
        return export(given.split, images=given.store.path, to=to, format=self.exporter, **options)  # type: ignore[arg-type]

    def test_every_photo_is_there_once_with_its_label(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        for part in given.split.parts:
            table = given.split.part(part)
            asked = dict(zip(table["photo_id"].to_pylist(), table["label"].to_pylist(), strict=True))
            found = self.read(tmp_path / "out", part)
            assert len(found) == len(asked)
            assert {sample.photo_id: sample.label for sample in found} == asked

    def test_images_are_those_of_the_store(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        for part in given.split.parts:
            for sample in self.read(tmp_path / "out", part):
                foreign = given.foreign.get(sample.photo_id)
                if foreign is None or self.keeps_bytes:
                    assert sample.data == tiny_image(sample.photo_id, foreign or "JPEG")
                else:
                    self._check_converted(sample, tiny_image(sample.photo_id, foreign))

    def _check_converted(self, sample: Read, original: bytes) -> None:
        jpeg = Image.open(io.BytesIO(sample.data))
        assert jpeg.format == "JPEG"
        layer = Image.open(io.BytesIO(original)).convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        expected = Image.alpha_composite(white, layer).convert("RGB")
        assert jpeg.size == expected.size
        # The corner that is farthest from the square: flat colour, which JPEG keeps within a few levels.
        position = (jpeg.width - 1, jpeg.height - 1)
        pairs = zip(_pixel(jpeg.convert("RGB"), position), _pixel(expected, position), strict=True)
        assert all(abs(one - other) <= 6 for one, other in pairs)

    def test_files_do_not_depend_on_how_the_store_was_filled(self, given: Given, tmp_path: Path) -> None:
        other = tiny_store(tmp_path / "other", given.split, formats=given.foreign, shard_photos=7)
        self.run(given, tmp_path / "one")
        self.run(Given(given.split, other, given.foreign), tmp_path / "two")
        assert hashes(tmp_path / "one") == hashes(tmp_path / "two")

    def test_the_seed_changes_the_order_and_nothing_else(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "zero")
        self.run(given, tmp_path / "one", seed=1)
        zero = [sample.photo_id for sample in self.read(tmp_path / "zero", "train")]
        one = [sample.photo_id for sample in self.read(tmp_path / "one", "train")]
        assert (zero != one) is self.is_stream
        assert sorted(zero) == sorted(one)

    def test_labels_are_mixed_in_a_stream_and_sorted_elsewhere(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        found = [(sample.label, sample.photo_id) for sample in self.read(tmp_path / "out", "train")]
        labels = [label for label, _ in found]
        assert (labels != sorted(labels)) is self.is_stream
        assert (found == sorted(found)) is not self.is_stream

    def test_the_same_export_again_writes_nothing(self, given: Given, tmp_path: Path) -> None:
        first = export(given.split, images=given.store.path, to=tmp_path / "out", format=self.exporter)
        before = _times(tmp_path / "out")
        again = export(given.split, images=given.store.path, to=tmp_path / "out", format=self.exporter)
        assert (first.written, again.written) == (True, False)
        assert _times(tmp_path / "out") == before
        assert again.photos == first.photos
        assert again.size_bytes == first.size_bytes

    def test_another_export_there_is_refused(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        before = _times(tmp_path / "out")
        with pytest.raises(TargetExistsError):
            self.run(given, tmp_path / "out", seed=1)
        assert _times(tmp_path / "out") == before

    def test_a_damaged_export_is_not_taken_for_the_same(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        largest = max((path for path in (tmp_path / "out").rglob("*") if path.is_file()), key=_size)
        with largest.open("ab") as file:
            file.truncate(100)
        with pytest.raises(TargetExistsError):
            self.run(given, tmp_path / "out")

    def test_a_folder_that_holds_something_else_is_refused(self, given: Given, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("mine")
        with pytest.raises(TargetExistsError):
            self.run(given, tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]

    def test_it_says_what_it_wrote(self, given: Given, tmp_path: Path) -> None:
        seen: list[Event] = []
        report = export(
            given.split,
            images=given.store.path,
            to=tmp_path / "out",
            format=self.exporter,
            on_event=seen.append,
        )
        photos = {part: given.split.part(part).num_rows for part in given.split.parts}
        files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        payload = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
        assert report.photos == payload["photos"] == photos
        assert report.files == len(files)
        assert report.size_bytes == sum(map(_size, files))
        assert payload["format"] == report.format == self.exporter.format
        assert payload["split"]["sha256"] == given.split.sha256
        assert payload["store"] == {"size": "small", "resize": None}
        assert json.loads(json.dumps(report.to_dict()))["written"] is True
        assert seen[0] == StageStarted("export", sum(photos.values()))
        assert seen[-1] == StageFinished("export")
        assert sum(isinstance(event, PhotoDone) for event in seen) == sum(photos.values())

    def test_the_classes_lie_beside_it(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        table = pq.read_table(tmp_path / "out" / "classes.parquet")
        # What is counted of the split's own parts is not said of those that were written.
        asked = list(CLASSES.hashed)
        assert table.select(asked).equals(given.split.classes.select(asked))
        for name in ("label", "n_train", "n_val", "n_test", "shot"):
            assert table[f"split_{name}"].equals(given.split.classes[name])

    def test_only_the_parts_asked_for(self, given: Given, tmp_path: Path) -> None:
        report = export(
            given.split, images=given.store.path, to=tmp_path / "out", format=self.exporter, parts=["test"]
        )
        assert report.photos == {"test": given.split.part("test").num_rows}
        assert len(self.read(tmp_path / "out", "test")) == report.photos["test"]
        with pytest.raises(SplitError):
            self.run(given, tmp_path / "other", parts=["holdout"])

    def test_missing_photos_are_refused_with_their_states(self, tmp_path: Path) -> None:
        given, gone, pending = _lacking(tmp_path)
        with pytest.raises(MissingPhotosError, match="2 gone, 1 pending") as raised:
            self.run(given, tmp_path / "out")
        assert raised.value.by_status == {"gone": len(gone), "pending": len(pending)}
        assert not (tmp_path / "out").exists()

    def test_missing_photos_are_recorded_where_they_are_allowed(self, tmp_path: Path) -> None:
        given, gone, pending = _lacking(tmp_path)
        report = export(
            given.split,
            images=given.store.path,
            to=tmp_path / "out",
            format=self.exporter,
            allow_missing=True,
        )
        assert report.missing["train"] == {"gone": 2, "pending": 1}
        found = {sample.photo_id for sample in self.read(tmp_path / "out", "train")}
        assert found == set(given.split.part("train")["photo_id"].to_pylist()) - gone - pending
        rows = pq.read_table(tmp_path / "out" / "missing.parquet").to_pylist()
        assert {(row["part"], row["photo_id"], row["status"]) for row in rows} == {
            *(("train", photo_id, "gone") for photo_id in gone),
            *(("train", photo_id, "pending") for photo_id in pending),
        }

    def test_a_part_without_any_photo_is_refused(self, tmp_path: Path) -> None:
        split = tiny_split()
        store = tiny_store(tmp_path / "images", split, pending=split.part("val")["photo_id"].to_pylist())
        with pytest.raises(ExportError, match="val"):
            self.run(Given(split, store, {}), tmp_path / "out", allow_missing=True)
        assert not (tmp_path / "out").exists()

    def test_a_damaged_image_stops_it_and_once_repaired_it_goes_on(
        self, given: Given, tmp_path: Path
    ) -> None:
        self.run(given, tmp_path / "undisturbed")
        samples = join(given.split, "train", given.store)
        shard = tar_path(given.store.path, int(samples.locations.shard[5]))
        position = int(samples.locations.offset[5]) + int(samples.locations.size_bytes[5]) // 2
        _flip(shard, position)
        with pytest.raises(VerificationError, match=str(samples.photo_ids[5])) as raised:
            self.run(given, tmp_path / "out")
        assert shard.name in str(raised.value)
        assert not (tmp_path / "out").exists()
        _flip(shard, position)
        self.run(given, tmp_path / "out")
        assert hashes(tmp_path / "out") == hashes(tmp_path / "undisturbed")

    def test_a_full_disk_is_one_clear_error_and_publishes_nothing(self, given: Given, tmp_path: Path) -> None:
        with _files_of_at_most(self.file_limit), pytest.raises(OutOfSpaceError, match="no room"):
            self.run(given, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        self.run(given, tmp_path / "out")
        assert len(self.read(tmp_path / "out", "train")) == given.split.part("train").num_rows

    @pytest.mark.parametrize("photos", [2, 70])
    def test_killed_it_goes_on_with_the_result_of_an_undisturbed_one(
        self, given: Given, tmp_path: Path, photos: int
    ) -> None:
        self.run(given, tmp_path / "undisturbed")

        def kill(event: Event, seen: list[Event] = []) -> None:  # noqa: B006 - counts within one process
            seen.append(event)
            if sum(isinstance(event, PhotoDone) for event in seen) == photos:
                os.kill(os.getpid(), signal.SIGKILL)

        process = multiprocessing.get_context("fork").Process(
            target=self.run, args=(given, tmp_path / "out"), kwargs={"on_event": kill}
        )
        process.start()
        process.join(timeout=60)
        assert process.exitcode == -signal.SIGKILL
        assert not (tmp_path / "out").exists()
        again: list[Event] = []
        self.run(given, tmp_path / "out", on_event=again.append)
        assert hashes(tmp_path / "out") == hashes(tmp_path / "undisturbed")
        assert _names(tmp_path) == {"images", "out", "undisturbed"}
        if photos == 70:  # past the first steps of every format
            assert any(isinstance(event, Note) and "going on" in event.text for event in again)
            assert sum(isinstance(event, PhotoDone) for event in again) < sum(
                given.split.part(part).num_rows for part in given.split.parts
            )

    def test_every_photo_is_credited(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        rows = pq.read_table(tmp_path / "out" / "ATTRIBUTION.parquet").to_pylist()
        page = (tmp_path / "out" / "ATTRIBUTION.html").read_text("utf-8")
        asked = {
            (part, row["photo_id"]): row
            for part, table in given.split.tables.items()
            for row in table.to_pylist()
        }
        assert {(row["part"], row["photo_id"]) for row in rows} == set(asked)
        for row in rows:
            photo = asked[row["part"], row["photo_id"]]
            assert row["credit"] == credit_line(photo["observer_name"], photo["license"])
            assert f'<a href="{row["page"]}">{row["photo_id"]}</a>' in page
            assert row["credit"] is None or f"<dt>{html.escape(row['credit'])}\n" in page

    def test_interrupted_at_once_it_leaves_nothing_and_starts_again(
        self, given: Given, tmp_path: Path
    ) -> None:
        def interrupt(event: Event) -> None:
            if isinstance(event, PhotoDone):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.run(given, tmp_path / "out", on_event=interrupt)
        assert _names(tmp_path) == {"images"}
        self.run(given, tmp_path / "out")
        assert len(self.read(tmp_path / "out", "train")) == given.split.part("train").num_rows


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _lacking(tmp_path: Path) -> tuple[Given, set[int], set[int]]:
    split = tiny_split()
    ids = split.part("train")["photo_id"].to_pylist()
    gone, pending = {ids[0], ids[3]}, {ids[7]}
    return Given(split, tiny_store(tmp_path / "images", split, gone=gone, pending=pending), {}), gone, pending


def _pixel(image: Image.Image, position: tuple[int, int]) -> tuple[int, ...]:
    pixel = image.getpixel(position)
    assert isinstance(pixel, tuple)
    return pixel


def _flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(-1, io.SEEK_CUR)
        file.write(bytes([byte ^ 0xFF]))


def _size(path: Path) -> int:
    return path.stat().st_size


def _times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@contextmanager
def _files_of_at_most(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond this: the kernel answers EFBIG, as a quota would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

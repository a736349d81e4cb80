import itertools
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from arboretum_metadata.sample import catalog_path
from arboretum_metadata.schema import CLASSES, PART
from arboretum_tools.catalog import open_catalog
from arboretum_tools.contact_sheets import _evenly, contact_sheet
from arboretum_tools.errors import MissingPhotosError, SplitError, TargetExistsError, UsageError
from arboretum_tools.imaging.images import Canvas, UndecodableImageError
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.split.make import whole
from arboretum_tools.store.shards.layout import StoreConfig, tar_path
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.taxa.bands import BANDS, shot_band
from arboretum_tools.testing.tiny import tiny_split, tiny_store

TEAL, AMBER, PLUM = (16, 92, 104), (217, 147, 32), (168, 52, 92)


def pixels_of(image: Image.Image, color: tuple[int, int, int]) -> int:
    return {value: count for count, value in image.getcolors(2**24) or []}.get(color, 0)


def many_classes(count: int) -> Split:
    """As many classes as asked, one photo each."""
    one = tiny_split({"train": (1,)})
    row = one.classes.to_pylist()[0]
    classes = [
        {**row, "label": label, "name": f"Genus species{label}", "class_key": f"K|Genus species{label}"}
        for label in range(count)
    ]
    photo = one.part("train").to_pylist()[0]
    rows = [{**photo, "label": label, "photo_id": label + 1} for label in range(count)]
    return Split(
        "many",
        pa.Table.from_pylist(classes, schema=arrow_schema(CLASSES)),
        {"train": pa.Table.from_pylist(rows, schema=arrow_schema(PART))},
        one.meta,
    )


def test_it_is_a_png_with_every_class_and_the_colours_of_its_bands(tmp_path: Path) -> None:
    split = tiny_split({"train": (120, 40, 5, 2), "test": (1, 1, 1, 1)})
    store = tiny_store(tmp_path / "images", split)
    path = contact_sheet(split, images=store.path, to=tmp_path / "sheet.png")
    image = Image.open(path)
    assert image.format == "PNG"
    assert image.width == 2_000
    # The bars of the chart alone: their areas stand in the ratio of the counts.
    chart = image.crop((64, 230, 1936, 480))
    head, middle = pixels_of(chart, TEAL), pixels_of(chart, AMBER)
    assert head / middle == pytest.approx(3, rel=0.1)
    assert pixels_of(chart, PLUM) > 0


def test_the_same_split_and_images_give_the_same_picture(tmp_path: Path) -> None:
    split = tiny_split()
    one = tiny_store(tmp_path / "one", split)
    two = tiny_store(tmp_path / "two", split, shard_photos=5)
    first = contact_sheet(split, images=one.path, to=tmp_path / "first.png")
    second = contact_sheet(split, images=two.path, to=tmp_path / "second.png")
    assert first.read_bytes() == second.read_bytes()


def test_a_selection_has_photos_and_says_how_many_the_store_lacks(tmp_path: Path, monkeypatch) -> None:
    written: list[str] = []
    draw = Canvas.text

    def text(self: Canvas, at, text: str, *rest, **more) -> None:
        written.append(text)
        draw(self, at, text, *rest, **more)

    monkeypatch.setattr(Canvas, "text", text)
    selection = open_catalog(catalog_path()).select("Danaus")
    split = whole(selection)
    ids = split.part("train")["photo_id"].to_pylist()
    store = tiny_store(tmp_path / "images", split, gone=ids[:1], pending=ids[1:3])
    contact_sheet(selection, images=store.path, to=tmp_path / "selection.png")
    (line,) = (one for one in written if "   ·   " in one)
    assert f"   ·   {len(ids)} photos, 3 of them not in the store   ·   " in line
    bands = {shot_band(count) for count in split.class_counts}
    assert (
        [one.split(",")[0] for one in written if one.endswith((" class", " classes"))]
        == [band for band in BANDS if band in bands]
        != list(BANDS)
    )
    written.clear()
    contact_sheet(split, images=store.path, to=tmp_path / "split.png")
    assert any(f"{len(ids)} train photos, 3 of them not in the store" in one for one in written)


def test_a_selection_without_taxa_is_called_by_its_words(tmp_path: Path, monkeypatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(Canvas, "text", lambda self, at, text, *rest, **more: written.append(text))
    selection = open_catalog(catalog_path()).select(life_stage="larva", license="open")
    store = tiny_store(tmp_path / "images", whole(selection))
    contact_sheet(selection, images=store.path, to=tmp_path / "larvae.png")
    assert written[0] == selection.english == "life stage larva; licence open; research grade"


def test_with_many_classes_it_shows_some_and_stays_small(tmp_path: Path) -> None:
    split = many_classes(45)
    store = tiny_store(tmp_path / "images", split)
    some = Image.open(contact_sheet(split, images=store.path, to=tmp_path / "some.png"))
    few = Image.open(contact_sheet(split, images=store.path, to=tmp_path / "few.png", max_classes=4))
    assert few.height < some.height < 8_000


def test_a_split_is_opened_by_its_folder_and_missing_photos_leave_tiles_empty(tmp_path: Path) -> None:
    split = tiny_split()
    photos = split.part("train")["photo_id"].to_pylist()
    store = tiny_store(tmp_path / "images", split, pending=photos[1:])
    split.save(tmp_path / "split")
    empty = contact_sheet(tmp_path / "split", images=store.path, to=tmp_path / "empty.png")
    full = contact_sheet(split, images=tiny_store(tmp_path / "full", split).path, to=tmp_path / "full.png")
    tile = (236, 232, 222)
    assert pixels_of(Image.open(empty), tile) > 2 * pixels_of(Image.open(full), tile)


def test_a_store_that_holds_none_of_the_photos_gives_no_sheet(tmp_path: Path) -> None:
    with StoreWriter.create(tmp_path / "images", StoreConfig(size="small")):
        pass
    with pytest.raises(MissingPhotosError, match="holds none of the photos to show; nothing was written"):
        contact_sheet(tiny_split(), images=tmp_path / "images", to=tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_an_image_that_cannot_be_decoded_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    split = tiny_split({"train": (1, 1)})
    store = tiny_store(tmp_path / "images", split)
    tar = tar_path(store.path, 0)
    data = bytearray(tar.read_bytes())
    data[512 : 512 + 100] = bytes(100)
    tar.write_bytes(bytes(data))
    with pytest.raises(UndecodableImageError, match="photo 21474"):
        contact_sheet(split, images=store.path, to=tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    "numbers", [{"max_classes": 0}, {"photos_per_class": 0}, {"max_classes": 10**9}, {"photos_per_class": 11}]
)
def test_what_cannot_be_shown_is_refused(tmp_path: Path, numbers: dict[str, int]) -> None:
    split = tiny_split()
    with pytest.raises(UsageError, match=r"(max-classes|per-class) must be 1 to"):
        contact_sheet(split, images=tmp_path, to=tmp_path / "sheet.png", **numbers)


def test_a_split_without_train_photos_is_refused(tmp_path: Path) -> None:
    split = tiny_split({"train": (0, 0), "test": (1, 1)})
    with pytest.raises(SplitError, match="no train photos"):
        contact_sheet(split, images=tmp_path / "images", to=tmp_path / "sheet.png")


@settings(deadline=None, derandomize=True)
@given(total=st.integers(1, 400_000), most=st.integers(1, 60))
def test_the_classes_shown_are_spread_evenly_from_first_to_last(total: int, most: int) -> None:
    shown = _evenly(total, most)
    assert shown == sorted(set(shown))
    assert len(shown) == min(total, most)
    assert shown[0] == 0
    if len(shown) > 1:
        assert shown[-1] == total - 1
        steps = [later - earlier for earlier, later in itertools.pairwise(shown)]
        assert max(steps) - min(steps) <= 1


@settings(deadline=None, derandomize=True, max_examples=50)
@given(text=st.text(max_size=40), width=st.integers(30, 400))
def test_a_name_never_runs_out_of_its_place(text: str, width: int) -> None:
    canvas = Canvas((10, 10), (0, 0, 0))
    fitted = canvas.fitted(text, 25, width)
    assert canvas.text_width(fitted, 25) <= width
    canvas.text((0, 10), text, 25, (255, 255, 255))


def test_names_beyond_ascii_are_drawn_in_their_plain_form() -> None:
    canvas = Canvas((10, 10), (0, 0, 0))
    assert canvas.fitted("Ōʻū × naïve Ærø", 25, 1_000) == "O'u x naive Aero"
    assert canvas.fitted("Ruby-throated Hummingbird", 25, 150).endswith("…")
    assert canvas.fitted("鳥", 25, 100) == "?"


@pytest.mark.parametrize(("suffix", "form"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_the_suffix_decides_the_format_and_nothing_is_replaced(tmp_path, suffix, form):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    path = contact_sheet(split, images=store.path, to=tmp_path / f"sheet.{suffix}")
    with Image.open(path) as image:
        assert image.format == form
    with pytest.raises(TargetExistsError, match="is there already"):
        contact_sheet(split, images=store.path, to=path)
    assert contact_sheet(split, images=store.path, to=path, overwrite=True) == path
    with pytest.raises(TargetExistsError, match="lies in"):
        contact_sheet(split, images=store.path, to=store.path / "sheet.png", overwrite=True)
    with pytest.raises(UsageError, match=r"ends in none of \.png"):
        contact_sheet(split, images=store.path, to=tmp_path / "photos.parquet")

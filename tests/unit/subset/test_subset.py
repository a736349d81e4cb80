import io
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from arboretum_tools.errors import (
    MissingPhotosError,
    SplitError,
    StoreError,
    UsageError,
    VerificationError,
)
from arboretum_tools.exporting import export
from arboretum_tools.store.shards.layout import tar_path
from arboretum_tools.subset import Subset, load_subset
from arboretum_tools.testing.tiny import COUNTS, tiny_image, tiny_split, tiny_store

SPLIT = tiny_split()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("subset") / "images"
    png = SPLIT.part("train")["photo_id"][5].as_py()
    tiny_store(path, SPLIT, formats={png: "PNG"})
    return path


@pytest.fixture
def train(images: Path) -> Subset:
    return load_subset(SPLIT, images=images)


def test_it_is_the_part_in_its_order(train: Subset) -> None:
    part = SPLIT.part("train")
    assert len(train) == part.num_rows
    assert train.photo_ids.tolist() == part["photo_id"].to_pylist()
    assert [(item["photo_id"], item["label"]) for item in train] == list(
        zip(part["photo_id"].to_pylist(), part["label"].to_pylist(), strict=True)
    )
    assert repr(train) == "Subset('tiny', part='train': 58 photos, 4 classes)"


def test_a_split_is_opened_by_its_folder(images: Path, tmp_path: Path) -> None:
    SPLIT.save(tmp_path / "aves-lt100")
    for path in (tmp_path / "aves-lt100", str(tmp_path / "aves-lt100")):
        val = load_subset(path, images=str(images), part="val")
        assert len(val) == SPLIT.part("val").num_rows


def test_an_item_is_an_image_with_what_is_known_of_it(train: Subset) -> None:
    item = train[0]
    assert isinstance(item["image"], Image.Image)
    assert item["image"].size == (32, 24)
    assert item["label"] == 0
    assert item["scientific_name"] == item["class_name"] == "Turdus migratorius"
    assert item["common_name"] == "American Robin"
    assert train[45]["common_name"] is None


def test_bytes_are_those_of_the_store(train: Subset) -> None:
    for position, photo_id in enumerate(train.photo_ids.tolist()):
        assert train.read_bytes(position) == tiny_image(photo_id, "PNG" if position == 5 else "JPEG")


@pytest.mark.parametrize("index", [-1, -58, np.int64(3), np.int32(-2), np.uint8(57), True])
def test_any_kind_of_integer_is_an_index(train: Subset, index: Any) -> None:
    assert train[index]["photo_id"] == train.photo_ids[int(index)]


@pytest.mark.parametrize("index", [58, -59, 10**20])
def test_outside_it_is_an_index_error(train: Subset, index: int) -> None:
    with pytest.raises(IndexError, match="58 photos"):
        train[index]
    with pytest.raises(IndexError):
        train.read_bytes(index)


@pytest.mark.parametrize("index", ["0", 1.0, None])
def test_anything_else_is_a_type_error(train: Subset, index: Any) -> None:
    with pytest.raises(TypeError):
        train[index]


@pytest.mark.parametrize(
    "index", [slice(3, 9), slice(None, None, -1), slice(-4, None), slice(50, 500, 3), slice(5, 5)]
)
def test_a_slice_is_a_subset(train: Subset, index: slice) -> None:
    taken = train[index]
    assert isinstance(taken, Subset)
    assert taken.photo_ids.tolist() == train.photo_ids.tolist()[index]
    assert taken.labels.tolist() == train.labels.tolist()[index]
    assert [item["photo_id"] for item in taken] == taken.photo_ids.tolist()
    assert taken.to_arrow()["photo_id"].to_pylist() == taken.photo_ids.tolist()
    assert len(train) == 58


def test_class_counts_are_by_label_and_of_this_subset(train: Subset) -> None:
    assert train.class_counts == list(COUNTS["train"])
    assert train[:41].class_counts == [40, 1, 0, 0]
    assert train.class_names == SPLIT.classes["name"].to_pylist()
    assert train.classes.equals(SPLIT.classes)


def test_pandas_and_arrow_have_the_parts_columns_and_the_names(train: Subset) -> None:
    frame = train.to_pandas()
    assert len(frame) == 58
    assert list(frame.columns) == [
        *SPLIT.part("train").column_names,
        "class_name",
        "scientific_name",
        "common_name",
    ]
    assert frame["class_name"].tolist() == [SPLIT.classes["name"][label].as_py() for label in train.labels]
    assert train.to_arrow()["license"].equals(SPLIT.part("train")["license"])
    assert str(frame.dtypes["photo_id"]) == "int64"
    assert str(frame.dtypes["observation_id"]) == "Int64"


def test_to_hf_is_a_dataset_with_image_and_class_label(train: Subset, tmp_path: Path) -> None:
    import datasets

    dataset = train.to_hf(cache_dir=tmp_path)
    assert isinstance(dataset, datasets.Dataset)
    assert isinstance(dataset.features["image"], datasets.Image)
    assert dataset.features["label"].names == train.class_names
    assert dataset["photo_id"][:] == train.photo_ids.tolist()
    assert dataset["label"][:] == train.labels.tolist()
    assert dataset[0]["image"].size == (32, 24)
    raw = dataset.cast_column("image", datasets.Image(decode=False))
    assert raw[5]["image"]["bytes"] == train.read_bytes(5)


def test_to_hf_again_finds_its_file_and_another_subset_has_its_own(train: Subset, tmp_path: Path) -> None:
    train.to_hf(cache_dir=tmp_path)
    (first,) = tmp_path.iterdir()
    before = first.stat().st_mtime_ns
    train.to_hf(cache_dir=tmp_path)
    assert [path.stat().st_mtime_ns for path in tmp_path.iterdir()] == [before]
    assert train[:9].to_hf(cache_dir=tmp_path).num_rows == 9
    assert len(list(tmp_path.iterdir())) == 2


def mean_color(image: Image.Image) -> tuple[float, ...]:
    # At the top level, so that it goes through pickle.
    return tuple(np.asarray(image, dtype=float).mean(axis=(0, 1)).round(6).tolist())


def test_to_torch_gives_transformed_rgb_images_and_labels(train: Subset) -> None:
    view = train.to_torch(mean_color)
    assert len(view) == len(train)
    color, label = view[5]  # the PNG: half clear, so on white
    assert len(color) == 3
    assert label == 0
    plain, _ = train.to_torch()[5]
    assert plain.mode == "RGB"
    assert view[-1] == view[57]
    with pytest.raises(IndexError):
        view[58]


def read_view(view: Any, positions: list[int], results: Any) -> None:
    results.put([(position, view[position]) for position in positions])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_it_under_fork_and_spawn(train: Subset, method: str) -> None:
    train.read_bytes(0)  # a file is open before the workers start, as in a DataLoader
    view = train.to_torch(mean_color)
    context = multiprocessing.get_context(method)
    results = context.Queue()
    shares = [list(range(start, len(view), 2)) for start in range(2)]
    workers = [context.Process(target=read_view, args=(view, share, results)) for share in shares]
    for worker in workers:
        worker.start()
    found = dict(pair for _ in workers for pair in results.get(timeout=60))
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0
    assert found == {position: view[position] for position in range(len(view))}


def test_it_goes_through_pickle_without_its_files(train: Subset) -> None:
    train.read_bytes(0)
    copy = pickle.loads(pickle.dumps(train[10:30]))
    assert copy.photo_ids.tolist() == train.photo_ids.tolist()[10:30]
    assert [copy.read_bytes(i) for i in range(20)] == [train.read_bytes(i) for i in range(10, 30)]


def test_missing_photos_are_refused_or_left_out(tmp_path: Path) -> None:
    ids = SPLIT.part("val")["photo_id"].to_pylist()
    tiny_store(tmp_path / "images", SPLIT, gone=ids[:2])
    with pytest.raises(MissingPhotosError, match="2 of the 7 photos of val"):
        load_subset(SPLIT, images=tmp_path / "images", part="val")
    val = load_subset(SPLIT, images=tmp_path / "images", part="val", allow_missing=True)
    assert val.photo_ids.tolist() == ids[2:]
    assert val.class_counts == [0, 2, 2, 1]


def test_what_is_not_there_is_named(images: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="no part 'holdout'"):
        load_subset(SPLIT, images=images, part="holdout")
    with pytest.raises(StoreError, match="there is no image store"):
        load_subset(SPLIT, images=tmp_path / "none")
    with pytest.raises(SplitError, match="there is no split"):
        load_subset(tmp_path / "none", images=images)


def test_a_swapped_tar_is_found_out(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "images", SPLIT)
    val = load_subset(SPLIT, images=store.path, part="val")
    shard = int(val.locations.shard[0])
    tar_path(store.path, shard).write_bytes(bytes(4_096_000))
    with pytest.raises(VerificationError, match=str(val.photo_ids[0])):
        val[0]


def test_importing_it_loads_neither_pillow_nor_datasets() -> None:
    import subprocess
    import sys

    code = (
        "import sys, arboretum_tools.subset, arboretum_tools.exporting; "
        "print([m for m in ('PIL', 'datasets', 'torch', 'pandas', 'yaml', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_image_can_be_saved_as_it_came(train: Subset) -> None:
    assert Image.open(io.BytesIO(train.read_bytes(5))).format == "PNG"


def test_many_are_read_in_the_order_asked_for(train: Subset) -> None:
    indices = [3, 57, -1, 0, 3, 20]
    assert train.read_many(indices) == [train.read_bytes(index) for index in indices]
    assert train.read_many(np.array(indices)) == train.read_many(indices)
    assert train.read_many(range(5)) == [train.read_bytes(index) for index in range(5)]
    assert train.read_many([]) == []
    array = train.read_array(indices)
    assert array.to_pylist() == train.read_many(indices)
    assert bytes(memoryview(array[2].as_buffer())) == train.read_bytes(-1)
    with pytest.raises(IndexError):
        train.read_many([58])


def test_photos_are_chosen_by_their_class_or_by_themselves(train: Subset) -> None:
    thrushes = train.where(family="Turdidae")
    assert thrushes.class_counts == [40, 12, 0, 0]
    assert train.where(common_name=None).class_counts == [0, 12, 0, 0]
    assert train.where(species=["rosea", "corax"]).class_counts == [0, 0, 4, 2]
    open_ones = train.where(license={"CC0", "CC-BY"}, order="Passeriformes")
    assert set(open_ones.to_arrow()["license"].to_pylist()) == {"CC0", "CC-BY"}
    assert open_ones.class_counts[2:] == [0, 0]  # the raven's order is not known
    assert [item["photo_id"] for item in open_ones] == open_ones.photo_ids.tolist()
    assert len(train.where(license="PD")) == 0
    assert len(train.where(license=None)) == train.to_arrow()["license"].null_count


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"habitat": "sea"}, "photos have no 'habitat'"),
        ({"family": "Apidaee"}, "no class of tiny has family 'Apidaee'"),
        ({"family": ["Turdidae", "Apidaee"]}, "'Apidaee'"),
        ({"taxon_id": "many"}, "taxon_id is int64"),
    ],
)
def test_a_condition_that_cannot_be_met_is_refused(
    train: Subset, conditions: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train.where(**conditions)


def test_a_class_is_a_subset(train: Subset) -> None:
    assert train.by_class(1).class_counts == [0, 12, 0, 0]
    assert len(train.by_class(2)[:2]) == 2
    for label in (4, -1):
        with pytest.raises(IndexError, match="4 classes"):
            train.by_class(label)


@pytest.mark.parametrize("index", [[5, 2, -1], np.array([5, 2, 57]), [], np.zeros(58, bool)])
def test_positions_and_masks_give_a_subset(train: Subset, index: Any) -> None:
    taken = train[index]
    assert (
        taken.photo_ids.tolist()
        == train.photo_ids[np.asarray(index, dtype=None if len(index) else int)].tolist()
    )
    with pytest.raises(IndexError):
        train[[58]]


def test_shard_order_reads_each_file_from_front_to_back(train: Subset) -> None:
    ordered = train.in_shard_order()
    positions = list(zip(ordered.locations.shard.tolist(), ordered.locations.offset.tolist(), strict=True))
    assert positions == sorted(positions)
    assert sorted(ordered.photo_ids.tolist()) == sorted(train.photo_ids.tolist())


def test_shuffled_is_the_order_of_exports_and_depends_on_the_seed(train: Subset) -> None:
    from arboretum_tools.samples import join

    samples = join(SPLIT, "train", train.store)
    requested = samples.photo_ids[samples.shuffled(3)].tolist()
    assert train.shuffled(3).photo_ids.tolist() == train[::-1].shuffled(3).photo_ids.tolist() == requested
    assert train.shuffled(4).photo_ids.tolist() != requested


@pytest.fixture
def damaged(tmp_path: Path) -> tuple[Path, int, int]:
    """A store of which one whole shard is gone and one image is cut short inside: their photos."""
    store = tiny_store(tmp_path / "images", SPLIT)
    whole = load_subset(SPLIT, images=store.path)
    lost = int(whole.locations.shard[0])
    tar_path(store.path, lost).unlink()
    photo = int(np.flatnonzero(whole.locations.shard != lost)[0])
    with tar_path(store.path, int(whole.locations.shard[photo])).open("r+b") as file:
        file.seek(int(whole.locations.offset[photo]))
        file.write(bytes(int(whole.locations.size_bytes[photo])))
    return store.path, lost, int(whole.photo_ids[photo])


def test_a_damaged_shard_is_named_and_the_rest_unharmed(damaged: tuple[Path, int, int]) -> None:
    path, lost, photo_id = damaged
    train = load_subset(SPLIT, images=path)
    with pytest.raises(StoreError, match=f"shard-{lost:06d}.tar"):
        train[0]
    with pytest.raises(StoreError):
        list(train)
    skipping = load_subset(SPLIT, images=path, on_error="skip")
    bad = set(train.photo_ids[train.locations.shard == lost].tolist()) | {photo_id}
    assert {item["photo_id"] for item in skipping} == set(train.photo_ids.tolist()) - bad
    assert set(skipping.skipped) == bad
    assert "cannot be decoded" in skipping.skipped[photo_id]
    half = skipping[:29]
    assert [item["photo_id"] for item in half] == [i for i in train.photo_ids[:29].tolist() if i not in bad]
    assert set(half.skipped) == bad & set(train.photo_ids[:29].tolist())
    with pytest.raises(StoreError):  # a position means one photo
        skipping[0]
    with pytest.raises(StoreError):
        skipping.read_many([5, 0])
    with pytest.raises(UsageError, match="known: raise, skip"):
        load_subset(SPLIT, images=path, on_error="ignore")  # type: ignore[arg-type]


def test_in_a_data_loader_the_next_photo_stands_in_for_one_that_cannot_be_read(
    damaged: tuple[Path, int, int],
) -> None:
    path, lost, photo_id = damaged
    with pytest.raises(StoreError):
        load_subset(SPLIT, images=path).to_torch()[0]
    skipping = load_subset(SPLIT, images=path, on_error="skip")
    view = skipping.to_torch(mean_color)
    bad = (skipping.locations.shard == lost) | (skipping.photo_ids == photo_id)
    good = np.flatnonzero(~bad)
    for position in range(58):
        stand_in = int(good[np.searchsorted(good, position) % len(good)])
        assert view[position] == view[stand_in]
    assert view[-58] == view[0]
    assert set(skipping.skipped) == set(skipping.photo_ids[bad].tolist())
    with pytest.raises(IndexError):
        view[58]
    for tar in path.glob("*.tar"):
        tar.unlink()
    with pytest.raises(StoreError):
        load_subset(SPLIT, images=path, on_error="skip").to_torch()[0]


def test_rows_of_the_split_are_read_when_they_are_asked_for(images: Path, tmp_path: Path) -> None:
    SPLIT.save(tmp_path / "tiny")
    train = load_subset(tmp_path / "tiny", images=images)
    some = train.where(license="CC-BY")[::-1]
    assert some.to_arrow().equals(load_subset(SPLIT, images=images).where(license="CC-BY")[::-1].to_arrow())
    (tmp_path / "tiny").rename(tmp_path / "old")
    with pytest.raises(SplitError, match=r"train\.parquet is not there"):
        train.to_arrow()
    tiny_split({"train": (9, 2, 1, 1)}).save(tmp_path / "tiny")
    with pytest.raises(SplitError, match="other photos than when"):
        some.to_arrow()
    assert train.read_bytes(0)


def test_a_subset_of_a_split_in_memory_takes_only_its_own_rows_through_pickle(images: Path) -> None:
    ten = load_subset(SPLIT, images=images)[10:20]
    copy = pickle.loads(pickle.dumps(ten))
    assert copy.to_arrow().equals(ten.to_arrow())
    assert copy[2:4].to_arrow().equals(ten[2:4].to_arrow())
    assert copy._rows.split.parts == ("train",)


def test_a_split_on_disk_goes_through_pickle_as_paths(images: Path, tmp_path: Path) -> None:
    SPLIT.save(tmp_path / "tiny")
    train = load_subset(tmp_path / "tiny", images=images)
    frozen = pickle.dumps(train)
    assert len(frozen) < 2_000
    copy = pickle.loads(frozen)
    assert copy.read_many(range(58)) == train.read_many(range(58))
    part = pickle.loads(pickle.dumps(train.where(family="Turdidae")[::-2]))
    assert part.photo_ids.tolist() == train.where(family="Turdidae")[::-2].photo_ids.tolist()


def test_a_pickle_is_refused_where_the_split_is_another_now(images: Path, tmp_path: Path) -> None:
    SPLIT.save(tmp_path / "tiny")
    frozen = pickle.dumps(load_subset(tmp_path / "tiny", images=images))
    (tmp_path / "tiny").rename(tmp_path / "old")
    tiny_split({"train": (9, 2, 1, 1)}).save(tmp_path / "tiny")
    with pytest.raises(SplitError, match="58 photos of train then, 13 now"):
        pickle.loads(frozen)


def test_labels_must_mean_the_classes_of_the_export(images: Path, tmp_path: Path) -> None:
    export(SPLIT, images=images, to=tmp_path / "out", format="lists", parts=["train"])
    assert len(load_subset(SPLIT, images=images, same_classes_as=tmp_path / "out")) == 58
    fewer = tiny_split({"train": (40, 12), "test": (3, 3)})
    with pytest.raises(SplitError, match="2 classes here, 4 there"):
        load_subset(fewer, images=images, same_classes_as=tmp_path / "out")
    gap = tiny_split({"train": (40, 12, 4, 2), "test": (3, 0, 3, 3)})
    tiny_store(tmp_path / "gap", gap)
    export(gap, images=tmp_path / "gap", to=tmp_path / "anew", format="lists", drop_classes=True)
    with pytest.raises(SplitError, match=r"label 1 is 'Animalia\|Turdus merula' here and 'Plantae\|Laelia"):
        load_subset(gap, images=tmp_path / "gap", same_classes_as=tmp_path / "anew")
    with pytest.raises(SplitError, match=r"classes\.parquet"):
        load_subset(SPLIT, images=images, same_classes_as=tmp_path)


def test_a_class_is_asked_for_by_its_label(train):
    with pytest.raises(UsageError, match=r"by_class takes a label.*'Passer domesticus'"):
        train.by_class("Passer domesticus")

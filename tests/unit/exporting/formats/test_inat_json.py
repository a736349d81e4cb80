import json
import os
from pathlib import Path
from typing import Any

import pytest

from arboretum_tools.errors import ExportError
from arboretum_tools.exporting import INatJson, export
from arboretum_tools.split.files.published import import_split
from arboretum_tools.testing.exporter_conformance import ExporterConformance, Given, Read
from arboretum_tools.testing.tiny import tiny_split, tiny_store


def deit_samples(root: Path, *, train: bool, category: str = "name") -> list[tuple[str, int]]:
    # DeiT and DeiT-LT datasets.py, INatDataset.__init__.
    data = json.loads((root / f"{'train' if train else 'val'}2018.json").read_text("utf-8"))
    data_catg = json.loads((root / "categories.json").read_text("utf-8"))
    data_for_targeter = json.loads((root / "train2018.json").read_text("utf-8"))
    targeter: dict[str, int] = {}
    for elem in data_for_targeter["annotations"]:
        king = data_catg[int(elem["category_id"])][category]
        if king not in targeter:
            targeter[king] = len(targeter)
    samples = []
    for elem in data["images"]:
        cut = elem["file_name"].split("/")
        path = os.path.join(root, cut[0], cut[2], cut[3])  # noqa: PTH118 - as the reader has it
        samples.append((path, targeter[data_catg[int(cut[2])][category]]))
    return samples


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def torchvision_samples(root: Path) -> list[tuple[str, int]]:
    # torchvision/datasets/inaturalist.py, INaturalist._init_pre2021 of version 2018, and __init__.
    root = root / "2018"
    all_categories: dict[int, str] = {}
    for scat in names(root):
        for subcat in names(root / scat):
            assert int(subcat) not in all_categories
            all_categories[int(subcat)] = f"{scat}/{subcat}"
    assert sorted(all_categories) == list(range(len(all_categories)))
    return [(name, label) for label, path in all_categories.items() for name in names(root / path)]


class TestINatJson(ExporterConformance):
    exporter = INatJson()
    keeps_bytes = False
    is_stream = False
    file_limit = 4_000

    def read(self, folder: Path, part: str) -> list[Read]:
        # As pycocotools reads COCO's: an annotation names an image and a category, an image its file.
        message = json.loads((folder / f"{part}2018.json").read_text("utf-8"))
        images = {image["id"]: image for image in message["images"]}
        return [
            Read(
                one["image_id"],
                one["category_id"],
                (folder / images[one["image_id"]]["file_name"]).read_bytes(),
            )
            for one in message["annotations"]
        ]

    def test_deit_finds_every_image_with_the_label_of_the_split(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        for part, train in (("train", True), ("val", False)):
            rows = given.split.part(part)
            asked = dict(zip(rows["photo_id"].to_pylist(), rows["label"].to_pylist(), strict=True))
            found = deit_samples(tmp_path / "out", train=train)
            assert {int(Path(path).stem): label for path, label in found} == asked
            assert all(Path(path).is_file() for path, _ in found)

    def test_deit_groups_by_any_rank(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        families = deit_samples(tmp_path / "out", train=True, category="family")
        assert len({label for _, label in families}) == 3  # thrushes, crows, and one that is not known

    def test_torchvision_finds_train_and_val_under_their_labels(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        asked = {
            photo_id: label
            for part in ("train", "val")
            for photo_id, label in zip(
                given.split.part(part)["photo_id"].to_pylist(),
                given.split.part(part)["label"].to_pylist(),
                strict=True,
            )
        }
        found = torchvision_samples(tmp_path / "out")
        assert {int(Path(name).stem): label for name, label in found} == asked

    def test_our_own_importer_reads_the_same_split(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        out = tmp_path / "out"
        files = [out / f"{part}2018.json" for part in given.split.parts]
        found = import_split([*files, out / "categories.json"])
        assert found.class_counts == given.split.class_counts
        for column in ("name", "common_name", "kingdom", "family", "genus", "species"):
            assert found.classes[column].to_pylist() == given.split.classes[column].to_pylist()
        assert found.files is not None
        paths = dict(zip(*(found.files[name].to_pylist() for name in ("photo_id", "path")), strict=True))
        for part in given.split.parts:
            rows = found.part(part).select(["photo_id", "label"]).to_pylist()
            ours = given.split.part(part).select(["photo_id", "label"]).to_pylist()
            stems = {row["photo_id"]: int(Path(paths[row["photo_id"]]).stem) for row in rows}
            assert sorted((stems[row["photo_id"]], row["label"]) for row in rows) == sorted(
                (row["photo_id"], row["label"]) for row in ours
            )

    def test_images_are_described_as_they_were_written(self, given: Given, tmp_path: Path) -> None:
        export(given.split, images=given.store.path, to=tmp_path / "out", format=INatJson(resize=12))
        message: dict[str, Any] = json.loads((tmp_path / "out" / "train2018.json").read_text("utf-8"))
        assert {(image["width"], image["height"]) for image in message["images"]} == {(16, 12)}
        licenses = {row["id"]: row["name"] for row in message["licenses"]}
        asked = {row["photo_id"]: row for row in given.split.part("train").to_pylist()}
        for image in message["images"]:
            assert licenses[image["license"]] == (asked[image["id"]]["license"] or "not known")
            assert image["rights_holder"] == (asked[image["id"]]["observer_name"] or "")

    def test_categories_are_a_list_in_label_order(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        categories = json.loads((tmp_path / "out" / "categories.json").read_text("utf-8"))
        assert [row["id"] for row in categories] == [0, 1, 2, 3]
        assert [row["supercategory"] for row in categories] == ["Aves", "Aves", "Plantae", "Aves"]
        assert len({row["name"] for row in categories}) == 4

    def test_a_class_without_a_photo_is_refused(self, tmp_path: Path) -> None:
        split = tiny_split({"train": (9, 4, 2, 2), "val": (2, 0, 2, 0)})
        store = tiny_store(tmp_path / "images", split)
        with pytest.raises(ExportError, match="Turdus merula, Corvus corax"):
            self.run(Given(split, store, {}), tmp_path / "out")

    def test_a_folder_that_cannot_hold_links_is_said(
        self, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(Path, "symlink_to", refused)
        with pytest.raises(ExportError, match="cannot be made a link: Operation not permitted"):
            self.run(given, tmp_path / "out")
        assert not (tmp_path / "out").exists()

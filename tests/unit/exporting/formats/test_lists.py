import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from arboretum_tools.errors import ExportError, UsageError
from arboretum_tools.events import Event, Note
from arboretum_tools.exporting import Lists, export
from arboretum_tools.taxa.captions import CAPTION_TYPES
from arboretum_tools.testing.exporter_conformance import ExporterConformance, Given, Read
from arboretum_tools.testing.tiny import tiny_split, tiny_store


def read_list(root: Path, txt: Path) -> tuple[list[str], list[int]]:
    # MDCS data_loader/imagenet_lt_data_loaders.py, LT_Dataset.__init__; DeiT-LT datasets.py and
    # BalancedMetaSoftmax data/dataloader.py have the same loop.
    img_path = []
    labels = []
    with txt.open() as f:
        for line in f:
            img_path.append(f"{root}/{line.split()[0]}")
            labels.append(int(line.split()[1]))
    return img_path, labels


class TestLists(ExporterConformance):
    exporter = Lists(name="Tiny_LT")
    keeps_bytes = False
    is_stream = False
    file_limit = 4_000

    def read(self, folder: Path, part: str) -> list[Read]:
        paths, labels = read_list(folder, folder / f"Tiny_LT_{part}.txt")
        return [
            Read(int(Path(path).stem), label, Path(path).read_bytes())
            for path, label in zip(paths, labels, strict=True)
        ]

    def test_a_line_is_a_path_and_a_label_and_nothing_else(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        text = (tmp_path / "out" / "Tiny_LT_train.txt").read_text("ascii")
        lines = text.split("\n")
        assert lines.pop() == ""
        assert len(lines) == 58
        assert all(len(line.split(" ")) == len(line.split()) == 2 for line in lines)

    def test_labels_run_by_descending_count_so_that_resorting_changes_nothing(
        self, given: Given, tmp_path: Path
    ) -> None:
        self.run(given, tmp_path / "out")
        _, labels = read_list(tmp_path / "out", tmp_path / "out" / "Tiny_LT_train.txt")
        # DeiT-LT datasets.py and MDCS places_loader.py re-sort the classes by np.argsort(-counts).
        counts = np.bincount(labels)
        assert np.argsort(-counts).tolist() == [0, 1, 2, 3]
        assert json.loads((tmp_path / "out" / "cls_freq" / "Tiny_LT.json").read_text()) == counts.tolist()

    def test_class_names_and_prompts_are_in_label_order(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        lines = (tmp_path / "out" / "classnames.txt").read_text("utf-8").splitlines()
        assert lines[0] == "00000_Turdus_migratorius Turdus migratorius"
        folders = [line.split(" ", 1)[0] for line in lines]
        assert folders == sorted(path.name for path in (tmp_path / "out" / "images").iterdir())
        prompts = json.loads((tmp_path / "out" / "prompts.json").read_text("utf-8"))
        assert sorted(prompts) == sorted(CAPTION_TYPES)
        assert {len(texts) for texts in prompts.values()} == {4}
        assert prompts["com"][:2] == ["a photo of American Robin.", "a photo of Turdus merula."]
        assert not any(
            bad in text for texts in prompts.values() for text in texts for bad in ("None", "nan", "  ")
        )

    def test_without_a_name_the_lists_have_that_of_the_split(self, given: Given, tmp_path: Path) -> None:
        export(given.split, images=given.store.path, to=tmp_path / "out", format="lists", parts=["val"])
        assert (tmp_path / "out" / "tiny_val.txt").exists()
        assert not (tmp_path / "out" / "cls_freq").exists()

    def test_dropped_classes_are_said_and_the_others_numbered_anew(self, tmp_path: Path) -> None:
        split = tiny_split({"train": (9, 4, 2, 2), "test": (2, 0, 2, 2)})
        store = tiny_store(tmp_path / "images", split)
        with pytest.raises(ExportError, match="Turdus merula"):
            export(split, images=store.path, to=tmp_path / "out", format=self.exporter)
        seen: list[Event] = []
        report = export(
            split,
            images=store.path,
            to=tmp_path / "out",
            format=self.exporter,
            drop_classes=True,
            on_event=seen.append,
        )
        assert report.photos == {"train": 13, "test": 6}
        assert any(isinstance(event, Note) and "1 class was left out" in event.text for event in seen)
        message = json.loads((tmp_path / "out" / "export.json").read_text())
        assert message["dropped_classes"] == ["Animalia|Turdus merula"]
        classes = pq.read_table(tmp_path / "out" / "classes.parquet").to_pylist()
        assert [(row["label"], row["folder"]) for row in classes] == [
            (0, "00000_Turdus_migratorius"),
            (1, "00001_Laelia_rosea"),
            (2, "00002_Corvus_corax"),
        ]
        paths, labels = read_list(tmp_path / "out", tmp_path / "out" / "Tiny_LT_train.txt")
        assert np.bincount(labels).tolist() == [9, 2, 2]
        assert all(Path(path).is_file() for path in paths)
        key = {row["photo_id"]: row["label"] for row in split.part("train").to_pylist()}
        assert [key[int(Path(path).stem)] for path in paths] == [[0, 2, 3][label] for label in labels]

    def test_names_of_classes_cannot_leave_the_folder(self, tmp_path: Path) -> None:
        split = tiny_split({"train": (3, 2)})
        rows = split.classes.to_pylist()
        rows[0] |= {"name": "../../etc/pass wd\u00a0x" + "é" * 300, "folder": "../../evil"}
        rows[1] |= {"name": "CON . \t\n/", "folder": "/tmp/evil"}
        hostile = type(split)(
            split.name, split.classes.from_pylist(rows, schema=split.classes.schema), split.tables, split.meta
        )
        store = tiny_store(tmp_path / "images", split)
        export(hostile, images=store.path, to=tmp_path / "out", format=self.exporter)
        paths, labels = read_list(tmp_path / "out", tmp_path / "out" / "Tiny_LT_train.txt")
        assert labels == [0, 0, 0, 1, 1]
        for path in paths:
            assert Path(path).resolve().is_relative_to(tmp_path / "out" / "images")
            assert Path(path).is_file()
            assert len(Path(path).parent.name) <= 80


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "-x", "x" * 61])
def test_a_name_that_a_loader_would_cut_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name of a list"):
        Lists(name=name)

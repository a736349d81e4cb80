from pathlib import Path

import pytest

from arboretum_tools.errors import ExportError
from arboretum_tools.exporting import ImageFolder, export
from arboretum_tools.testing.exporter_conformance import ExporterConformance, Given, Read
from arboretum_tools.testing.tiny import tiny_split, tiny_store

# torchvision/datasets/folder.py, IMG_EXTENSIONS; timm/data/readers/img_extensions.py has fewer.
TORCHVISION = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
TIMM = (".png", ".jpg", ".jpeg")


class TestImageFolder(ExporterConformance):
    exporter = ImageFolder()
    keeps_bytes = False
    is_stream = False
    file_limit = 4_000

    def read(self, folder: Path, part: str) -> list[Read]:
        # torchvision/datasets/folder.py: find_classes sorts the names of the folders of the root and raises
        # where one has no image; make_dataset walks them in sorted order.
        names = sorted(entry.name for entry in (folder / part).iterdir() if entry.is_dir())
        found = []
        for label, name in enumerate(names):
            paths = sorted((folder / part / name).iterdir())
            assert paths
            assert all(path.suffix in TORCHVISION and path.suffix in TIMM for path in paths)
            found += [Read(int(path.stem), label, path.read_bytes()) for path in paths]
        return found

    def test_hugging_face_reads_it_as_an_image_folder(self, given: Given, tmp_path: Path) -> None:
        import datasets

        self.run(given, tmp_path / "out")
        loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
        assert {name: part.num_rows for name, part in loaded.items()} == {
            "train": 58,
            "validation": 7,
            "test": 12,
        }
        raw = loaded["train"].cast_column("image", datasets.Image(decode=False))
        labels = {int(Path(row["image"]["path"]).stem): row["label"] for row in raw}
        table = given.split.part("train")
        assert labels == dict(zip(table["photo_id"].to_pylist(), table["label"].to_pylist(), strict=True))
        assert loaded["train"].features["label"].names[0] == "00000_Turdus_migratorius"

    def test_natural_and_plain_order_of_the_folders_agree(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        names = sorted(path.name for path in (tmp_path / "out" / "train").iterdir())
        assert [int(name.split("_")[0]) for name in names] == list(range(len(names)))
        assert all(name.isascii() and len(name) <= 80 and not set(name) & set(" ./\\") for name in names)

    def test_a_class_without_a_photo_is_named_and_refused(self, tmp_path: Path) -> None:
        split = tiny_split({"train": (9, 4, 2, 2), "val": (2, 0, 2, 0)})
        store = tiny_store(tmp_path / "images", split)
        with pytest.raises(ExportError, match=r"2 of 4 have none in val: Turdus merula, Corvus corax"):
            export(split, images=store.path, to=tmp_path / "out", format="imagefolder")
        assert not (tmp_path / "out").exists()
        report = export(split, images=store.path, to=tmp_path / "out", format="imagefolder", parts=["train"])
        assert report.photos == {"train": 17}

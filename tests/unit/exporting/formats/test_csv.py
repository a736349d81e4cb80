from pathlib import Path

import pandas as pd
import pytest

from arboretum_tools.errors import UsageError
from arboretum_tools.exporting import Csv, export
from arboretum_tools.testing.exporter_conformance import ExporterConformance, Given, Read
from arboretum_tools.testing.tiny import tiny_split, tiny_store


class TestCsv(ExporterConformance):
    exporter = Csv()
    keeps_bytes = False
    is_stream = False
    file_limit = 4_000

    def read(self, folder: Path, part: str) -> list[Read]:
        # open_clip src/open_clip_train/data.py, CsvDataset: pd.read_csv(input_filename, sep=sep), the columns
        # of --csv-img-key (filepath) and --csv-caption-key (title), by default a tab between them.
        frame = pd.read_csv(folder / f"{part}.csv", sep="\t")
        assert frame["title"].str.startswith("a photo of ").all()
        return [
            Read(photo_id, label, (folder / path).read_bytes())
            for path, photo_id, label in zip(
                frame["filepath"], frame["photo_id"], frame["label"], strict=True
            )
        ]

    def test_titles_are_captions_whatever_is_in_a_name(self, given: Given, tmp_path: Path) -> None:
        self.run(given, tmp_path / "out")
        frame = pd.read_csv(tmp_path / "out" / "train.csv", sep="\t")
        title = frame.loc[frame["label"] == 2, "title"].iloc[0]
        assert title == 'a photo of Laelia rosea with common name Bird\'s "Rosé": Orchid – ʻōpua.'

    def test_text_cells_are_quoted_so_that_none_is_a_formula(self, tmp_path: Path) -> None:
        split = tiny_split({"train": (2, 1)})
        store = tiny_store(tmp_path / "images", split)
        export(split, images=store.path, to=tmp_path / "out", format="csv", caption="common_name")
        lines = (tmp_path / "out" / "train.csv").read_text("utf-8").splitlines()
        assert lines[0] == '"filepath"\t"title"\t"label"\t"photo_id"'
        assert all(line.startswith('"images/') and '"\t"' in line for line in lines[1:])


def test_an_unknown_caption_is_refused() -> None:
    with pytest.raises(UsageError, match="latin"):
        Csv(caption="latin")

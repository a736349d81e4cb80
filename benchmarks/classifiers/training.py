"""Each method on a long-tailed split of drawn photos, several seeds: many, medium and few.

python benchmarks/classifiers/training.py --out /tmp/training
python benchmarks/classifiers/training.py --out /tmp/training --seeds 3 --epochs 40

Runs that are there already are not repeated; one that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from arboretum_metadata.sample import catalog_path
from arboretum_tools import make_split, open_catalog, train
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.testing.drawing import render
from arboretum_tools.testing.subjects import read_subjects

CLASSES, PHOTOS, RATIO, TEST = 12, 160, 40, 20

CNN: dict[str, Any] = {"arch": "resnet8", "batch_size": 16, "lr": 0.05, "image_size": 16}
VIT: dict[str, Any] = {"arch": "deit-nano", "batch_size": 16, "lr": 1e-3, "image_size": 16}

#: Name, recipe and times the epochs of a CNN; the last learns from the one before it.
METHODS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("ce", {"method": "ce", **CNN}, 1),
    ("balanced-softmax", {"method": "balanced-softmax", **CNN}, 1),
    ("mdcs", {"method": "mdcs", **CNN}, 1),
    ("ldam-drw, SAM", {"method": "ldam-drw", "sam": 0.05, **CNN}, 1),
    ("deit-lt", {"method": "deit-lt", **VIT}, 2),
)


def make_data(folder: Path) -> None:
    """A catalogue of the sample's most photographed species, as many photos of each; a split; the photos."""
    sample = pq.read_table(next(Path(catalog_path()).glob("*.parquet")))
    columns = ["scientific_name", "kingdom", "phylum", "class", "order", "family", "genus", "species"]
    rows = sample.select([*columns, "common_name"]).to_pylist()
    counts = Counter(row["scientific_name"] for row in rows)
    taxa = {row["scientific_name"]: row for row in rows}
    made = [
        {**taxa[name], "photo_id": 1_000 * number + n + 1, "ext": "jpg", "width": 800, "height": 600}
        for number, (name, _) in enumerate(counts.most_common(CLASSES))
        for n in range(PHOTOS)
    ]
    (folder / "catalog").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(made), folder / "catalog" / "photos.parquet")
    split = make_split(
        open_catalog(folder / "catalog").select(),
        lt_ratio=RATIO,
        num_classes=CLASSES,
        val_per_class=5,
        test_per_class=TEST,
    )
    subjects = read_subjects(folder / "catalog")
    with StoreWriter.create(folder / "images", StoreConfig(size="square")) as writer:
        for part in split.parts:
            for photo_id in split.part(part)["photo_id"].to_pylist():
                photo = subjects.find(photo_id)
                assert photo is not None
                writer.add_image(photo_id, render(photo, photo_id, "square", "jpg"))
    split.save(folder / "split")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not (options.out / "split").is_dir():
        make_data(options.out)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        for name, chosen, times in METHODS:
            run = options.out / "runs" / f"{chosen['method']}-{seed}"
            teacher = options.out / "runs" / f"ldam-drw-{seed}" if name == "deit-lt" else None
            started = time.process_time()
            report = train(
                options.out / "split",
                images=options.out / "images",
                out=run,
                teacher=teacher,
                seed=seed,
                epochs=times * options.epochs,
                workers=0,
                **chosen,
            )
            assert report is not None
            shown = {name: report.evaluations["test"]}
            shown |= {f"{name}, {head}": one for (part, head), one in report.heads.items() if part == "test"}
            for row, one in shown.items():
                means = {"balanced": one.top1.class_balanced, **one.top1.bands}
                numbers = {key: 100 * (mean.value or 0) for key, mean in means.items()}
                found.setdefault(row, []).append(numbers)
            print(
                seed, name, f"{time.process_time() - started:.0f} s", json.dumps(found[name][-1]), flush=True
            )
    print("\n| method | class-balanced | many | medium | few |\n|---|---|---|---|---|")
    for row, seeds in found.items():
        cells = [
            f"{np.mean([one[key] for one in seeds]):.1f} ± {np.std([one[key] for one in seeds]):.1f}"
            for key in ("balanced", "many", "medium", "few")
        ]
        print(f"| {row} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

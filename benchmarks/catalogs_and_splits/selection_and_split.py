"""A selection and a split over a raw catalogue of a million rows: seconds, peak memory, ratios.

Makes its own catalogue (long-tailed, names derived, no network), then asks each question in a process of its
own, so that peak memory is that of the question. The floor is DuckDB reading the columns that the question
needs, once; the peer is pandas reading the same columns and answering the same question, where it can.

    python benchmarks/catalogs_and_splits/selection_and_split.py
    python benchmarks/catalogs_and_splits/selection_and_split.py --rows 5_000_000 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from catalogue import peak_mb

COUNT = "count of class Aves"
SPECIES = "photos per species"
SPLIT = "make-split --taxa Aves --lt-ratio 100"
GROUPED = "the same, grouped by observation"


def make_catalogue(folder: Path, rows: int, files: int = 8) -> None:
    """Writes a raw catalogue: seven classes of the tree, long-tailed species, 1.6 photos per observation.

    Photo ids are shuffled over species, as in the published files, so nothing prunes.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    species = max(200, rows // 400)
    weights = 1 / (np.arange(species) + 20.0) ** 1.2
    generator = np.random.default_rng(0)
    of_photo = generator.choice(species, size=rows, p=weights / weights.sum()).astype(np.int64)
    observation = np.cumsum(generator.random(rows) < 1 / 1.6)
    classes = ["Aves", "Insecta", "Arachnida", "Reptilia", "Magnoliopsida", "Agaricomycetes", "Gastropoda"]
    kingdoms = ["Animalia"] * 4 + ["Plantae", "Fungi", "Animalia"]
    names = {
        "kingdom": [kingdoms[s % 7] for s in range(species)],
        "phylum": [f"Phylum{s % 7}" for s in range(species)],
        "class": [classes[s % 7] for s in range(species)],
        "order": [f"Order{s % 70}" for s in range(species)],
        "family": [f"Family{s % 700}" for s in range(species)],
        "genus": [f"Genus{s // 3}" for s in range(species)],
        "species": [f"epithet{s % 1000}" for s in range(species)],
    }
    names["scientific_name"] = [f"{g} {e}" for g, e in zip(names["genus"], names["species"], strict=True)]
    names["common_name"] = [f"Common name {s}" for s in range(species)]
    folder.mkdir(parents=True)
    for number in range(files):
        part = slice(number * rows // files, (number + 1) * rows // files)
        ids = np.arange(part.start + 1, part.stop + 1, dtype=np.int64)
        table = {
            "photo_id": pa.array(ids),
            # An observation is of one species: its number carries the species.
            "observation_id": pa.array(observation[part] * species + of_photo[part]),
        }
        table |= {name: pa.array(values).take(pa.array(of_photo[part])) for name, values in names.items()}
        table["photo_url"] = pa.array(
            [f"http://inaturalist-open-data.s3.amazonaws.com/photos/{i}/medium.jpg" for i in ids.tolist()]
        )
        pq.write_table(pa.table(table), folder / f"part-{number}.parquet", compression="snappy")


def ask(question: str, folder: Path) -> str:
    """Answers one question with the toolkit; the answer as a short text."""
    from arboretum_tools import make_split, open_catalog

    catalog = open_catalog(folder)
    if question == COUNT:
        return f"{catalog.select('Aves').count()} photos"
    if question == SPECIES:
        return f"{len(catalog.select().species_counts())} species"
    group_by = "photo" if question == SPLIT else "observation"
    split = make_split(catalog.select("Aves"), lt_ratio=100, group_by=group_by)
    return f"{split.num_classes} classes, {split.part('train').num_rows} train photos"


def ask_pandas(question: str, folder: Path) -> str:
    """The same question in pandas, duplicates dropped; the split without hold-out, targets or files."""
    import pandas as pd

    names = ["photo_id", "kingdom", "class", "genus", "species"]
    photos = pd.read_parquet(folder, columns=names).drop_duplicates("photo_id")
    if question == COUNT:
        return f"{(photos['class'] == 'Aves').sum()} photos"
    if question == SPECIES:
        return f"{len(photos.groupby(['kingdom', 'genus', 'species'], observed=True).size())} species"
    birds = photos[photos["class"] == "Aves"]
    return f"{len(birds.sample(frac=1, random_state=0).groupby(['genus', 'species']).head(200))} photos"


def floor(_question: str, folder: Path) -> str:
    """DuckDB reading photo_id, the class names and the URL once."""
    from arboretum_tools.tabular.query import connect, parquet_source, rows

    columns = 'max(photo_id), max(kingdom), max("class"), max(genus), max(species), max(photo_url)'
    return str(rows(connect(), f"SELECT {columns} FROM {parquet_source(sorted(folder.glob('*')))}")[0][0])


WAYS = {"arboretum": ask, "pandas": ask_pandas, "floor": floor}


def measure(way: str, question: str, folder: Path) -> dict[str, float | str]:
    """Runs one question in a process of its own: seconds without imports and with, peak memory in MB."""
    command = [sys.executable, __file__, "--child", way, question, str(folder)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def child(way: str, question: str, folder: str) -> None:
    # Imports are not part of the question, and what the others need is not loaded.
    if way == "pandas":
        import pandas as pd  # noqa: F401
        import pyarrow.parquet  # noqa: F401
    elif way == "arboretum":
        import arboretum_tools.split.make as _make  # noqa: F401
    else:
        import duckdb  # noqa: F401
    started = time.monotonic()
    answer = WAYS[way](question, Path(folder))
    seconds = time.monotonic() - started
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb(), "answer": answer}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=lambda text: int(text.replace("_", "")), default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3, metavar=("WAY", "QUESTION", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "catalog")
        make_catalogue(folder, arguments.rows)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        print(f"{arguments.rows:,} rows in {size:.0f} MB of Parquet, {arguments.rounds} rounds, medians\n")
        print(f"{'question':40} {'s':>6} {'MB':>6} {'x floor':>8} {'x pandas':>9}  answer")
        for question in (COUNT, SPECIES, SPLIT, GROUPED):
            runs: dict[str, list[dict[str, float | str]]] = {way: [] for way in WAYS}
            for _ in range(arguments.rounds):
                for way, found in runs.items():
                    found.append(measure(way, question, folder))
            medians = {
                way: statistics.median(float(r["seconds"]) for r in found) for way, found in runs.items()
            }
            peak = max(float(r["peak_mb"]) for r in runs["arboretum"])
            ours = medians["arboretum"]
            print(
                f"{question:40} {ours:6.2f} {peak:6.0f} {ours / medians['floor']:8.1f} "
                f"{ours / medians['pandas']:9.2f}  {runs['arboretum'][0]['answer']}"
            )


if __name__ == "__main__":
    main()

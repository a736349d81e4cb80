"""The catalogue at scale: makes one, builds it, and measures each question in a fresh process.

    python benchmarks/catalogs_and_splits/catalogue.py --rows 13_460_000 --dir /tmp/bench
    python benchmarks/catalogs_and_splits/catalogue.py --rows 134_600_000 --dir /tmp/bench    # 15 GB, 15 min

Names are iNaturalist's (needs the extra `taxonomy`); photos are invented: seven groups in the published
proportions, n_i = max(1, head * ((1 + q) / (i + q))^2) photos for the i-th species with q = 269, so that the
head has 500,000 of 134.6 M photos and 43 % of the species at full scale have one. Each question is printed
with its time, its ratio to the floor (DuckDB decoding the taxon column) and its peak memory; pandas and
polars answer what they can from the files as published. Figures: docs/benchmarks/catalogue.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FULL_ROWS, FULL_SPECIES, HEAD, Q = 134_600_000, 326_997, 500_000, 269
SHARD_ROWS = 1_000_000
#: What takes longer is asked once.
LONG_SECONDS = 10
#: Photos by group as published for the 40M training set (arXiv 2406.17720), as (rank, name, millions).
GROUPS = (
    ("kingdom", "Plantae", 19.9),
    ("class", "Insecta", 8.9),
    ("class", "Aves", 6.6),
    ("kingdom", "Fungi", 1.5),
    ("class", "Reptilia", 1.3),
    ("class", "Arachnida", 0.88),
    ("phylum", "Mollusca", 0.72),
)
RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
LICENSES = (
    ["CC-BY-NC", "CC-BY", "CC0", None, "CC-BY-NC-SA", "CC-BY-NC-ND", "CC-BY-SA"],
    [0.62, 0.13, 0.09, 0.07, 0.05, 0.03, 0.01],
)
STAGES = (
    [None, "adult", "larva", "juvenile", "nymph", "egg", "pupa"],
    [0.7, 0.2, 0.05, 0.02, 0.015, 0.01, 0.005],
)
EXTENSIONS = (["jpg", "JPG", "jpeg", "png"], [0.71, 0.28, 0.009, 0.001])


def make(folder: Path, rows: int) -> None:
    """Writes the published layout with optional columns, 1 M rows per file, ids rising, 0.1 % repeated."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from arboretum_tools.catalog.names import whole_taxonomy
    from arboretum_tools.tabular.query import arrow_table, connect, literal

    source = whole_taxonomy()
    if source is None:
        sys.exit("the benchmark needs iNaturalist's names: pip install 'arboretum-tools[taxonomy]'")
    random = np.random.default_rng(0)
    species = max(len(GROUPS) * 10, FULL_SPECIES * rows // FULL_ROWS)
    total = sum(share for _, _, share in GROUPS)
    names, connection = [], connect()
    for rank, name, share in GROUPS:
        # Most of iNaturalist's species names have no photo; which ones here does not matter.
        names.append(
            arrow_table(
                connection,
                'SELECT scientificName, kingdom, phylum, class, "order", family, genus, '
                f"specificEpithet AS species FROM read_parquet({literal(str(source))}) "
                f"WHERE taxonRank = 'species' AND \"{rank}\" = '{name}' AND genus IS NOT NULL "
                f"ORDER BY md5(id::VARCHAR) LIMIT {round(species * share / total)}",
            )
        )
    taxa = pa.concat_tables(names)
    species = taxa.num_rows
    order = random.permutation(species)
    head = HEAD * rows / FULL_ROWS
    counts = np.maximum(1, head * ((1 + Q) / (np.arange(1, species + 1) + Q)) ** 2).astype(np.int64)
    # What is over goes off the species with many photos, so that the tail of single ones stays whole.
    over = max(1.0, (counts.sum() - species) / (rows - species))
    counts = np.maximum(1, (counts / over).astype(np.int64))
    counts[0] += max(0, rows - counts.sum())
    taxon = np.repeat(order.astype(np.int32), counts)[:rows]
    rows = len(taxon)
    new = random.random(rows) < 1 / 1.61
    new[1:] |= taxon[1:] != taxon[:-1]
    observation = np.cumsum(new, dtype=np.int64)
    # Photos of one observation are uploaded together; taxa and photo ids have nothing to do with each other.
    position = np.argsort(random.permutation(int(observation[-1]) + 1)[observation], kind="stable")
    ids = 1_000_000 + np.cumsum(random.integers(1, 5, rows))
    folder.mkdir(parents=True)

    def coded(values: list[Any], weights: list[float], size: int) -> pa.Array:
        drawn = random.choice(len(values), size, p=weights).astype(np.int8)
        nulls = np.array([value is None for value in values])[drawn]
        known = ["" if isinstance(values[1], str) and value is None else value for value in values]
        return pa.DictionaryArray.from_arrays(pa.array(drawn, mask=nulls), known)

    for start in range(0, rows, SHARD_ROWS):
        at = position[start : start + SHARD_ROWS]
        own, seen, size = taxon[at], observation[at], len(at)
        photo = ids[start : start + size].copy()
        photo[1:][random.random(size - 1) < 0.001] = 0
        repeated = np.flatnonzero(photo == 0)
        photo[repeated], own[repeated], seen[repeated] = (
            photo[repeated - 1],
            own[repeated - 1],
            seen[repeated - 1],
        )
        ext = coded(*EXTENSIONS, size)
        # What an observation has in common follows from its number.
        mixed = (seen * 2_654_435_761) % (1 << 32)
        text = {}
        for name in ("scientificName", *RANKS):
            values = taxa.column(name).combine_chunks().cast(pa.string())
            unknown = values.is_null().to_numpy(zero_copy_only=False)
            text[name] = pa.DictionaryArray.from_arrays(
                pa.array(own, mask=unknown[own]), values.fill_null("")
            )
        columns = {
            "photo_id": photo,
            **text,
            "common_name": pa.nulls(size, pa.string()),
            "photo_url": [
                f"http://inaturalist-open-data.s3.amazonaws.com/photos/{i}/medium.{e}"
                for i, e in zip(photo.tolist(), ext.to_pylist(), strict=True)
            ],
            "observation_id": 5_000_000 + seen,
            "observer_id": (mixed % 65_536) ** 2 // 1_000,
            "license": coded(*LICENSES, size),
            "life_stage": coded(*STAGES, size),
            "quality_grade": coded(["research", "needs_id"], [0.97, 0.03], size),
            "latitude": np.round((mixed % 12_000_000) / 100_000 - 50, 5),
            "longitude": np.round((mixed // 7 % 36_000_000) / 100_000 - 180, 5),
            "observed_on": pa.array((14_000 + mixed % 5_500).astype(np.int32), pa.int32()).cast(pa.date32()),
            "width": coded([2048, 1536, 1024], [0.6, 0.3, 0.1], size),
            "height": coded([1536, 2048, 768], [0.6, 0.3, 0.1], size),
        }
        pq.write_table(pa.table(columns), folder / f"chunk-{start // SHARD_ROWS:04d}.parquet")


def floor(folder: Path) -> object:
    """Decodes the taxon column."""
    from arboretum_tools.tabular.query import connect, parquet_source, rows

    files = sorted((folder / "built" / "photos").iterdir())
    return rows(connect(), f"SELECT max(tax) FROM {parquet_source(files)}")


def _built(folder: Path) -> Any:
    from arboretum_tools import open_catalog

    return open_catalog(folder / "built")


def _split(folder: Path, taxa: str, **recipe: Any) -> object:
    """A split, drawn and saved: the query ends when the first photo is written, the rest is the manifest."""
    import tempfile

    from arboretum_tools import make_split
    from arboretum_tools.split.drawing.drawn_parts import DrawnParts

    started, cpu = time.perf_counter(), time.process_time()
    marks, write = [], DrawnParts.write

    def marked(parts: Any, batches: Any) -> DrawnParts:
        marks.append((time.perf_counter() - started, time.process_time() - cpu, peak_mb()))
        return write(parts, batches)

    DrawnParts.write = marked  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        split = make_split(_built(folder).select(taxa or ()), **recipe)
        split.save(Path(temporary, "split"))
    counts = split.meta["counts"]
    ((seconds, cpu_seconds, peak),) = marks
    return {
        "query_seconds": seconds,
        "query_cpu_seconds": cpu_seconds,
        "query_peak_mb": peak,
        "answer": f"{counts['train']:,} train, {counts['val']:,} val, {counts['test']:,} test photos of "
        f"{split.num_classes:,} classes, {split.sha256['train'][:12]}",
    }


def _pandas(folder: Path) -> object:
    import pandas as pd

    files = sorted((folder / "published").iterdir())[:10]
    frame = pd.concat([pd.read_parquet(file, columns=["class", "scientificName"]) for file in files])
    return int((frame["class"] == "Aves").sum()), f"of the first {len(files)} files"


def _polars(folder: Path, per_species: bool) -> object:
    import polars as pl

    frame = pl.scan_parquet(str(folder / "published" / "*.parquet"))
    if per_species:
        return frame.group_by("scientificName").len().collect(engine="streaming").height
    return frame.filter(pl.col("class") == "Aves").select(pl.len()).collect(engine="streaming").item()


def _photos(folder: Path, taxon: str, what: str) -> object:
    catalog = _built(folder)
    sql, parameters = catalog.select(taxon, quality_grade="any").query(what, relation="photos_alone")
    return catalog.rows(sql, parameters)


def _ids(folder: Path) -> object:
    catalog = _built(folder)
    sql, parameters = catalog.select("Aves", min_photos=30).query("photo_id", relation="photos_alone")
    return catalog.rows(f"SELECT count(*), sum(photo_id) FROM ({sql})", parameters)


#: Every question by name.
QUESTIONS: dict[str, Callable[[Path], object]] = {
    "floor: decode the taxon column": floor,
    "taxa Aves": lambda f: __import__("arboretum_tools").describe(_built(f), "Aves").photos,
    "rarity: photos of rare species": lambda f: _built(f).select(rarity="rare").count(),
    "stats of the whole": lambda f: __import__("arboretum_tools").catalog_stats(_built(f)).species,
    "count Aves, research grade (counts)": lambda f: _built(f).select("Aves").count(),
    "count Aves (photos)": lambda f: _photos(f, "Aves", "count(*)"),
    "photos per species, all (counts)": lambda f: len(_built(f).select(quality_grade="any").species_table()),
    "photos per species, all (photos)": lambda f: len(
        _built(f).rows("SELECT tax, count(*) FROM photos_alone GROUP BY tax")
    ),
    "photo ids of one family": lambda f: _photos(f, "Strigidae", "count(*), sum(photo_id)"),
    "research-grade Aves with 30 photos or more, ids summed": _ids,
    "make-split Aves, ratio 100": lambda f: _split(f, "Aves", lt_ratio=100, max_per_class=1_000),
    "make-split: all species, at most 1,000 photos each": lambda f: _split(
        f, "", profile="natural", max_per_class=1_000, group_by="photo", val_per_class=0, test_per_class=0
    ),
    "make-split: 14 million photos, at most 1,540 of each species": lambda f: _split(
        f, "", profile="natural", max_per_class=1_540, group_by="photo", val_per_class=0, test_per_class=0
    ),
    "make-split: species with 30 photos, by observation, val and test": lambda f: _split(
        f, "", profile="natural", min_per_class=30, max_per_class=300, group_by="observation"
    ),
    "make-split: 45,000 species, by observation, val and test": lambda f: _split(
        f,
        "",
        profile="natural",
        min_per_class=16,
        max_per_class=300,
        val_per_class=3,
        test_per_class=5,
        group_by="observation",
    ),
    "polars: count Aves, as published": lambda f: _polars(f, per_species=False),
    "polars: photos per species, as published": lambda f: _polars(f, per_species=True),
    "pandas: count Aves, as published, 10 files": _pandas,
}

#: Questions that are also asked on the command line; what that takes more is its cost.
COMMANDS = {
    "taxa Aves": ["taxa", "Aves"],
    "rarity: photos of rare species": ["select", "--rarity", "rare"],
    "count Aves, research grade (counts)": ["select", "--taxa", "Aves"],
}


def peak_mb() -> float:
    """Peak memory of this process; `ru_maxrss` would begin with that of the parent."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1000


def ask(folder: Path, name: str) -> dict[str, Any]:
    """Runs one question in this process; the time of imports is not in it, that of opening is."""
    import arboretum_tools.catalog.overview
    import arboretum_tools.catalog.stats
    from arboretum_tools import open_catalog

    _ = open_catalog, arboretum_tools.catalog.overview, arboretum_tools.catalog.stats
    # Imported so that it is not timed.
    if name.startswith("make-split"):
        import arboretum_tools.split.make as _make  # noqa: F401
    elif name == "photos per species, all (counts)":
        import pyarrow as pa  # noqa: F401 - the answer is a table
    started, cpu = time.perf_counter(), time.process_time()
    answer = QUESTIONS[name](folder)
    found = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }
    return found | (answer if isinstance(answer, dict) else {"answer": str(answer)[:60]})


def build(folder: Path) -> None:
    """Builds the catalogue; prints time, peak memory, and the most that lay on the disk beside the parts."""
    import threading

    from arboretum_tools import build_catalog

    work, most, ended = folder / ".built.building", [0, 0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            for position, name in enumerate(("spill", "buckets")):
                files = list((work / name).glob("*")) if (work / name).is_dir() else []
                # A file may go between the listing and the look.
                sizes = [file.stat().st_size for file in files if file.exists()]
                most[position] = max(most[position], sum(sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    report = build_catalog(folder / "published", folder / "built")
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    size = sum(file.stat().st_size for file in (folder / "published").iterdir())
    print(
        f"built in {seconds:.0f} s ({time.process_time():.0f} CPU s): {report.photos:,} photos, "
        f"{report.size_bytes / report.photos:.1f} bytes per photo (published {size / report.photos:.1f}), "
        f"peak {peak_mb():.0f} MB, spilled {most[0] / 1e6:.0f} MB, buckets {most[1] / 1e6:.0f} MB"
    )
    print(", ".join(f"{name} {size:.2f}" for name, size in bytes_a_photo(folder).items()))


def bytes_a_photo(folder: Path) -> dict[str, float]:
    """What each column of the parts takes, in bytes per photo."""
    import pyarrow.parquet as pq

    sizes: dict[str, int] = {}
    rows = 0
    for file in (folder / "built" / "photos").iterdir():
        footer = pq.read_metadata(file)
        rows += footer.num_rows
        for group in range(footer.num_row_groups):
            for position in range(footer.num_columns):
                column = footer.row_group(group).column(position)
                name = column.path_in_schema
                sizes[name] = sizes.get(name, 0) + column.total_compressed_size
    return {name: size / rows for name, size in sizes.items()}


def command_seconds(folder: Path, name: str) -> float:
    """How long the same question takes as a command, from start to end of its process."""
    command = [sys.executable, "-m", "arboretum_cli", *COMMANDS[name], "--catalog", str(folder / "built")]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_346_000)
    parser.add_argument("--dir", type=Path, required=True, help="a folder to make; what is in it is kept")
    parser.add_argument("--only", help="only questions whose name contains this")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.dir
    if options.ask:
        print(json.dumps(ask(folder, options.ask)))
        return
    if options.build:
        build(folder)
        return
    if not (folder / "published").exists():
        started = time.perf_counter()
        make(folder / "published", options.rows)
        print(f"made {options.rows:,} rows in {time.perf_counter() - started:.0f} s", flush=True)
    if not (folder / "built").exists():
        subprocess.run([sys.executable, __file__, "--dir", str(folder), "--build"], check=True)
    base = 0.0
    for name in QUESTIONS:
        if options.only and options.only not in name and not name.startswith("floor"):
            continue
        command = [sys.executable, __file__, "--dir", str(folder), "--ask", name]
        runs = []
        for _ in range(options.runs):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name}: {done.stderr.strip().splitlines()[-1]}")
                break
            runs.append(json.loads(done.stdout))
            if runs[-1]["seconds"] > LONG_SECONDS:
                break
        if runs:
            best = min(runs, key=lambda run: float(run["seconds"]))
            base = base or best["seconds"]
            line = f"{name}: {best['seconds']:.2f} s, {best['seconds'] / base:.2f} x floor, "
            line += f"{best['cpu_seconds']:.2f} CPU s, "
            line += f"peak {best['peak_mb']:.0f} MB -> {best['answer']}"
            if "query_seconds" in best:
                line += (
                    f"; the query {best['query_seconds']:.2f} s, {best['query_seconds'] / base:.2f} x floor, "
                )
                line += f"{best['query_cpu_seconds']:.2f} CPU s, "
                line += f"peak {best['query_peak_mb']:.0f} MB"
            if name in COMMANDS:
                took = min(command_seconds(folder, name) for _ in range(options.runs))
                line += f"; as a command {took:.2f} s, {took - best['seconds']:.2f} s more"
            print(line, flush=True)


if __name__ == "__main__":
    main()

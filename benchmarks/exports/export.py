"""CPU time and memory of exports, against peers and against `cat`, on the same photos in one run.

    python benchmarks/exports/export.py [--photos 20000] [--authors PATH/gen_img_txt_pair.py]
    python benchmarks/exports/export.py --memory

The first prints CPU times and their ratios, the second the peak memory of every format, and of opening a
subset, at 2,000 and at 200,000 photos.

Each contender runs in a process of its own, --rounds times in turn with the others, those that take minutes
once; the least CPU time (user and system, its children too) counts. Peers: `cat` of the store's shards
through a pipe into a file; `webdataset.ShardWriter` handed the same members, made already; the Arboretum
authors' `GenImgTxtPair` with tar (PyPI `arbor-process` 0.1.1: give the path of its `gen_img_txt_pair.py`),
whose images lie in folders already, as it wants them; `datasets.Dataset.from_generator(...).to_parquet()`
handed the same columns.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import multiprocessing
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import photos

from arboretum_tools.exporting import FORMATS, export
from arboretum_tools.subset import load_subset

Job = Callable[[], None]

#: Contenders that run once.
SLOW = ("webdataset.ShardWriter", "  of it, reading its members", "GenImgTxtPair with tar")


def cpu_seconds(job: Job) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a job in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe()
    process = context.Process(target=measured, args=(job, sender))
    process.start()
    used: tuple[float, float] = receiver.recv()
    process.join()
    return used


def measured(job: Job, sender: Any) -> None:
    def used() -> float:
        own, children = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    before = used()
    job()
    sender.send((used() - before, peak_megabytes()))


def peak_megabytes() -> float:
    """The most memory that this process ever had; `ru_maxrss` would count that of its parent too."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


def with_cat(workdir: Path) -> None:
    shards = " ".join(str(path) for path in sorted((workdir / "images").glob("*.tar")))
    subprocess.run(f"cat {shards} | cat > {workdir}/out.cat", shell=True, check=True)
    (workdir / "out.cat").unlink()


def with_us(workdir: Path, **options: Any) -> None:
    export(workdir / "split", images=workdir / "images", to=workdir / "ours", **options)


def with_subset(workdir: Path) -> None:
    subset = load_subset(workdir / "split", images=workdir / "images")
    subset.read_many(range(len(subset) - 256, len(subset)))


def members(workdir: Path) -> Iterator[dict[str, Any]]:
    """Samples of our export, member by member, as the peers take them."""
    import webdataset

    shards = [str(path) for path in sorted((workdir / "reference").glob("*.tar"))]
    for sample in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False):
        yield {name: value for name, value in sample.items() if name not in ("__url__", "__local_path__")}


def with_shard_writer(workdir: Path) -> None:
    import webdataset

    (workdir / "theirs").mkdir()
    # Bytes are written as they are, so no encoder is measured.
    with webdataset.ShardWriter(
        str(workdir / "theirs" / "%06d.tar"), maxcount=1_000, verbose=0, encoder=False
    ) as out:
        for sample in members(workdir):
            out.write(sample)


def with_reading_alone(workdir: Path) -> None:
    for _ in members(workdir):
        pass


def with_authors(workdir: Path, module: Path) -> None:
    spec = importlib.util.spec_from_file_location("gen_img_txt_pair", module)
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    theirs.GenImgTxtPair(
        str(workdir / "metadata"), str(workdir / "folders"), generate_tar=True
    ).create_image_text_pairs()


def with_datasets(workdir: Path) -> None:
    import datasets
    import pyarrow.parquet as pq

    def rows() -> Iterator[dict[str, Any]]:
        for path in sorted((workdir / "reference-hf" / "data").glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(batch_size=100):
                yield from batch.to_pylist()

    one = str(next((workdir / "reference-hf" / "data").iterdir()))
    features = datasets.Features.from_arrow_schema(pq.read_schema(one))
    made = datasets.Dataset.from_generator(rows, features=features, cache_dir=str(workdir / "c2"))
    made.to_parquet(str(workdir / "theirs.parquet"))


def with_reading_parquet(workdir: Path) -> None:
    import pyarrow.parquet as pq

    for path in sorted((workdir / "reference-hf" / "data").glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=100):
            batch.to_pylist()


def clean(workdir: Path) -> None:
    for name in ("ours", "theirs", "folders_tar", "c2"):
        shutil.rmtree(workdir / name, ignore_errors=True)
    (workdir / "theirs.parquet").unlink(missing_ok=True)


def lay_out_folders(workdir: Path) -> None:
    """Images in folders and metadata, as `GenImgTxtPair` wants them: five folders."""
    import pandas as pd

    shutil.rmtree(workdir / "folders", ignore_errors=True)
    rows: dict[int, list[dict[str, Any]]] = {}
    for number, sample in enumerate(members(workdir)):
        folder = workdir / "folders" / f"chunk_{number % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{sample['__key__']}.jpg").write_bytes(sample["jpg"])
        payload = json.loads(sample["json"])
        rows.setdefault(number % 5, []).append({**payload, "scientificName": payload["scientific_name"]})
    (workdir / "metadata").mkdir(exist_ok=True)
    for number, table in rows.items():
        pd.DataFrame(table).to_parquet(workdir / "metadata" / f"chunk_{number}.parquet")


def compare(workdir: Path, count: int, rounds: int, authors: Path | None) -> None:
    split = photos.make_split(count)
    total = photos.make_store(workdir / "images", split, photos.pictures())
    split.save(workdir / "split")
    export(split, images=workdir / "images", to=workdir / "reference", captions="all")
    export(split, images=workdir / "images", to=workdir / "reference-hf", format="hf")
    jobs: dict[str, Job] = {
        "cat": functools.partial(with_cat, workdir),
        "webdataset, no captions": functools.partial(with_us, workdir, captions="none"),
        "webdataset, all captions": functools.partial(with_us, workdir, captions="all"),
        "webdataset.ShardWriter": functools.partial(with_shard_writer, workdir),
        "  of it, reading its members": functools.partial(with_reading_alone, workdir),
        "hf": functools.partial(with_us, workdir, format="hf"),
        "datasets to_parquet": functools.partial(with_datasets, workdir),
        "  of it, reading its rows": functools.partial(with_reading_parquet, workdir),
    }
    if authors is not None:
        jobs["GenImgTxtPair with tar"] = functools.partial(with_authors, workdir, authors)
    least: dict[str, float] = {}
    for turn in range(rounds):
        for name, job in jobs.items():
            if turn and name in SLOW:
                continue
            clean(workdir)
            if name.startswith("GenImg"):
                lay_out_folders(workdir)
            least[name] = min(least.get(name, float("inf")), cpu_seconds(job)[0])
    clean(workdir)
    print(f"{count:,} photos, {total / count:,.0f} bytes each; CPU microseconds per photo")
    for name, seconds in least.items():
        print(f"  {name:<32}{seconds / count * 1e6:>10.1f}")
    writer = least["webdataset.ShardWriter"] - least["  of it, reading its members"]
    to_parquet = least["datasets to_parquet"] - least["  of it, reading its rows"]
    none, every, hf = (least[name] for name in ("webdataset, no captions", "webdataset, all captions", "hf"))
    ratios = [
        ("no captions / cat", none / least["cat"], 2),
        ("all captions / ShardWriter without its reading", every / writer, 0.25),
        ("hf / datasets without its reading", hf / to_parquet, 0.2),
    ]
    if authors is not None:
        ratios.append(("all captions / GenImgTxtPair with tar", every / least["GenImgTxtPair with tar"], 0.1))
    for name, ratio, most in ratios:
        print(f"  {name:<48}{ratio:>6.2f}  wanted: at most {most}")


def memory(workdir: Path, formats: Sequence[str]) -> None:
    """Peak memory at 2,000 and at 200,000 photos of about 3 KB."""
    peaks: dict[str, list[float]] = {name: [] for name in (*formats, "load_subset")}
    for count in (2_000, 200_000):
        here = workdir / str(count)
        split = photos.make_split(count)
        photos.make_store(here / "images", split, photos.pictures((64, 48), 3_000))
        split.save(here / "split")
        for name, found in peaks.items():
            subset = functools.partial(with_subset, here)
            job = subset if name == "load_subset" else functools.partial(with_us, here, format=name)
            found.append(cpu_seconds(job)[1])
            clean(here)
    print("peak memory in MB, imports included")
    for name, (few, many) in peaks.items():
        print(f"  {name:<12}{few:>6.0f} at 2,000 photos{many:>6.0f} at 200,000: {many - few:.0f} more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--authors", type=Path)
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--formats", default=",".join(FORMATS), help="whose memory [default: all]")
    parser.add_argument("--dir", type=Path, help="where to work [default: a temporary folder]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        if given.memory:
            memory(Path(folder), given.formats.split(","))
        else:
            compare(Path(folder), given.photos, given.rounds, given.authors)


if __name__ == "__main__":
    main()

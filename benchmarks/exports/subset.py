"""Speed of a subset against its limits and its peers, on the same photos in one run; prints ratios.

    python benchmarks/exports/subset.py [--photos 6000] [--torch]

Raw bytes in random order: `Subset.read_bytes` and `read_many` against a bare loop of `os.pread` with the
offsets known beforehand, and against a Hugging Face `datasets` Parquet dataset without decoding. Decoded:
`Subset` against Pillow decoding the same bytes out of memory. With --torch (needs torch): a DataLoader of two
workers over `to_torch` against one over `webdataset` streaming an export of the same photos, both decoding to
224 x 224. CPU time, but elapsed time with --torch; the least of --rounds.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import photos
from PIL import Image

from arboretum_tools.exporting import export
from arboretum_tools.store.shards.layout import tar_path
from arboretum_tools.subset import Subset, load_subset


def least(
    jobs: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """The least seconds that each job took; they take turns, so that all meet the same other load."""
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds):
        for name, job in jobs.items():
            start = clock()
            job()
            best[name] = min(best[name], clock() - start)
    return best


def through(function: Callable[[Any], object], values: Iterable[Any]) -> Callable[[], None]:
    def run() -> None:
        for value in values:
            function(value)

    return run


def raw(workdir: Path, subset: Subset, rounds: int) -> None:
    import datasets

    order = np.random.default_rng(0).permutation(len(subset)).tolist()
    shards = {
        n: os.open(tar_path(subset.store.path, n), os.O_RDONLY) for n in set(subset.locations.shard.tolist())
    }
    where = subset.locations
    plan = [(shards[where.shard.item(i)], where.size_bytes.item(i), where.offset.item(i)) for i in order]
    batches = [order[start : start + 256] for start in range(0, len(order), 256)]
    folder = str(workdir / "hf")
    theirs = datasets.load_dataset(folder, split="train", cache_dir=str(workdir / "cache"))
    theirs = theirs.cast_column("image", datasets.Image(decode=False))
    few = order[: len(order) // 4]
    plans = [plan[start : start + 256] for start in range(0, len(plan), 256)]
    seconds = least(
        {
            "os.pread": through(lambda job: os.pread(*job), plan),
            "os.pread, 256 kept": through(lambda jobs: [os.pread(*job) for job in jobs], plans),
            "subset.read_bytes": through(subset.read_bytes, order),
            "subset.read_many, 256 each": through(subset.read_many, batches),
            "subset.read_array, 256 each": through(subset.read_array, batches),
            "datasets, not decoded": through(theirs.__getitem__, few),
        },
        rounds,
    )
    each = {
        name: took / (len(few) if name.startswith("datasets") else len(order))
        for name, took in seconds.items()
    }
    print("raw bytes in random order, CPU microseconds per photo")
    for name, took in each.items():
        print(f"  {name:<28}{took * 1e6:>8.1f}")
    bare, kept, one, many, array, other = each.values()
    print(f"  read_bytes / os.pread       {one / bare:>8.2f}  wanted: at most 4, and 25 microseconds")
    print(f"  read_many / os.pread        {many / bare:>8.2f}  wanted: at most 1.5")
    print(f"  read_many / os.pread, kept  {many / kept:>8.2f}")
    print(f"  read_array / os.pread       {array / bare:>8.2f}")
    print(f"  datasets / read_bytes       {other / one:>8.1f}  wanted: at least 10")


def decoded(subset: Subset, rounds: int) -> None:
    order = np.random.default_rng(1).permutation(len(subset))[:400].tolist()
    loaded = subset.read_many(order)
    took = least(
        {
            "ours": through(lambda i: subset[i]["image"].load(), order),
            "pillow": through(lambda data: Image.open(io.BytesIO(data)).load(), loaded),
        },
        rounds,
    )
    ours, pillow = took.values()
    print("decoded, CPU microseconds per photo")
    print(f"  Pillow from memory              {pillow / len(order) * 1e6:>8.0f}")
    print(f"  subset[i]['image'].load()       {ours / len(order) * 1e6:>8.0f}")
    print(f"  ours / Pillow                   {ours / pillow:>8.3f}  wanted: at most 1.1")


def to_array(image: Image.Image) -> Any:
    import torch

    # A copy, because torch wants to write to what it is given.
    return torch.from_numpy(np.array(image.resize((224, 224))))


def from_sample(sample: dict[str, Any]) -> tuple[Any, int]:
    return to_array(Image.open(io.BytesIO(sample["jpg"])).convert("RGB")), int(sample["cls"])


def loaders(workdir: Path, subset: Subset, rounds: int) -> None:
    import torch
    import webdataset

    torch.set_num_threads(1)
    shards = [str(path) for path in sorted((workdir / "wds").glob("*.tar"))]
    stream = webdataset.WebDataset(shards, shardshuffle=False).map(from_sample)
    options: dict[str, Any] = {"batch_size": 64, "num_workers": 2}
    ours = torch.utils.data.DataLoader(subset.to_torch(to_array), shuffle=True, **options)
    theirs = torch.utils.data.DataLoader(stream, **options)

    def drain(loader: Iterable[Any]) -> int:
        return sum(len(labels) for _, labels in loader)

    assert drain(ours) == drain(theirs) == len(subset)
    took = least({"ours": lambda: drain(ours), "theirs": lambda: drain(theirs)}, rounds, time.perf_counter)
    mine, other = took.values()
    print("torch DataLoader, two workers, decoded to 224 x 224, elapsed")
    print(f"  webdataset, streaming           {len(subset) / other:>8.0f} photos per second")
    print(f"  subset.to_torch, shuffled       {len(subset) / mine:>8.0f} photos per second")
    print(f"  ours / webdataset               {other / mine:>8.2f}  wanted: at least 1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch", action="store_true", help="the DataLoader instead")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder)
        split = photos.make_split(given.photos)
        photos.make_store(workdir / "images", split, photos.pictures())
        subset = load_subset(split.save(workdir / "split"), images=workdir / "images")
        print(f"{len(subset):,} photos of about 90 KB, warm page cache")
        if given.torch:
            export(split, images=workdir / "images", to=workdir / "wds", captions="none")
            loaders(workdir, subset, given.rounds)
        else:
            export(split, images=workdir / "images", to=workdir / "hf", format="hf")
            raw(workdir, subset, given.rounds)
            decoded(subset, given.rounds)


if __name__ == "__main__":
    main()

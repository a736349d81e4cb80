"""What an image store looks like on disk: file names, statuses, and `store.json`.

    images/
      store.json                 what the store holds; fixed when it is made
      requests/<id>.parquet      every plan that was asked for, and <id>.json about it
      shard-000000.tar           the images, `<photo_id>.<ext>`, in the order in which they came
      shard-000000.parquet       one row per photo that was tried, failures too; written last
      shard-000001.tar.part      the open shard,
      shard-000001.journal       and one JSON line for each of its photos

A shard is finished when its index (`.parquet`) exists.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.errors import StoreError, TargetExistsError, UsageError
from arboretum_tools.store.storage import Storage, storage_at
from arboretum_tools.store.storage.lock import LOCK
from arboretum_tools.system.atomic_files import PARTIAL, parse_json, write_json
from arboretum_tools.system.temporary_folders import HIDDEN
from arboretum_tools.version import __version__
from arboretum_tools.wording import one_line

FORMAT_VERSION = 1

#: State of a photo that was asked for and not tried yet; never stands in an index.
PENDING = "pending"

#: No image in a store is larger, in bytes; a larger body is refused while it arrives.
MAX_IMAGE_BYTES = 64 * 2**20

#: Why a longer one is not stored.
TOO_LARGE = f"larger than {MAX_IMAGE_BYTES // 2**20} MiB"

CONFIG = "store.json"
REQUESTS = "requests"

# What a store says about how its images were scaled.
_RESIZE = {"shorter_side", "filter", "quality"}

#: Whose numbers the photo ids of a store are: iNaturalist's, hashes of the paths of files, or those of an
#: imported split, which has a name of its own.
INATURALIST, PATHS, OF_SPLIT = "inaturalist", "paths", "split-"

#: The highest number of a shard: what the arrays of `Locations` hold.
MAX_SHARD = 2**31 - 1

# As `shard_name` writes them: any other file is not ours, and is left alone.
_PLAN = re.compile(r".*\.parquet", re.DOTALL)
_SHARD = re.compile(r"shard-([0-9]{6}|[1-9][0-9]{6,9})\.(tar|parquet|tar\.part|journal)")


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """What every image of a store has in common.

    Attributes:
        size: the size that was asked of the image host, one of `vocab.PHOTO_SIZES`.
        resize: how images were scaled after they came, {shorter_side, filter, quality}; None = as they came.
        photo_ids: whose numbers the photo ids are: `inaturalist`, `paths` (hashes of the paths of files), or
            `split-` and a hash of the files of an imported split.
        format_version: of the store's files.
        minimum_toolkit_version: the oldest toolkit that reads the store.
    """

    size: str = "medium"
    resize: Mapping[str, Any] | None = None
    photo_ids: str = INATURALIST
    format_version: int = FORMAT_VERSION
    minimum_toolkit_version: str = "0.1.0"

    @property
    def of_inaturalist(self) -> bool:
        """Whether the photos are iNaturalist's, so that each has a page there."""
        return self.photo_ids == INATURALIST

    def __post_init__(self) -> None:
        if self.size not in PHOTO_SIZES:
            raise UsageError(
                f"{self.size!r} is not a photo size", hint=f"The sizes are {', '.join(PHOTO_SIZES)}."
            )
        if self.resize is not None and set(self.resize) != _RESIZE:
            raise UsageError(
                f"{self.resize!r} is not a way to resize", hint=f"It has {', '.join(sorted(_RESIZE))}."
            )


def shard_name(number: int) -> str:
    """`shard-000000` for 0; more than six digits where six are not enough."""
    return f"shard-{number:06d}"


def tar_name(number: int) -> str:
    """The images of a finished shard."""
    return f"{shard_name(number)}.tar"


def index_name(number: int) -> str:
    """The rows of a finished shard; that it exists is what finished means."""
    return f"{shard_name(number)}.parquet"


def journal_name(number: int) -> str:
    """The rows of an open shard."""
    return f"{shard_name(number)}.journal"


def tar_path(folder: Path, number: int) -> Path:
    """Where the images of a finished shard lie in a folder."""
    return folder / tar_name(number)


def part_path(folder: Path, number: int) -> Path:
    """The images of an open shard."""
    return folder / f"{shard_name(number)}.tar.part"


def journal_path(folder: Path, number: int) -> Path:
    """The rows of an open shard."""
    return folder / journal_name(number)


def index_path(folder: Path, number: int) -> Path:
    """The rows of a finished shard."""
    return folder / index_name(number)


def shard_number(path: Path) -> int:
    """The number of the shard that a file belongs to.

    Raises:
        ValueError: no name of a shard's file.
    """
    match = _shard_file(path.name)
    if match is None:
        raise ValueError(f"{path.name} is not a file of a shard")
    return int(match[1])


def _shard_file(name: str) -> re.Match[str] | None:
    match = _SHARD.fullmatch(name)
    return match if match is not None and int(match[1]) <= MAX_SHARD else None


def shard_files(storage: Storage, *, to_write: bool = False) -> dict[int, frozenset[str]]:
    """Which files each shard has, by number in ascending order: a set of tar, parquet, tar.part, journal.

    Args:
        storage: of the store.
        to_write: count those in the scratch folder too, where that is another place.

    Raises:
        StoreError: what has the name of one is no file.
    """
    found: dict[int, set[str]] = {}
    names = storage.names(_SHARD)
    if to_write and storage.remote:
        names += storage_at(storage.scratch).names(_SHARD)
    for name in names:
        match = _shard_file(name)
        if match is not None:
            found.setdefault(int(match[1]), set()).add(match[2])
    return {number: frozenset(found[number]) for number in sorted(found)}


def open_shards(storage: Storage) -> list[int]:
    """The shards of a run that is going on or was cut short, ascending.

    Raises:
        StoreError: what has the name of a file of one is no file.
    """
    return [number for number, files in shard_files(storage).items() if "parquet" not in files]


def plan_files(storage: Storage) -> list[Path]:
    """The saved plans of a store as files of this machine, by id.

    Raises:
        StoreError: what has the name of one is no file.
    """
    names = sorted(storage.names(_PLAN, REQUESTS))
    return storage.local([f"{REQUESTS}/{name}" for name in names])


def leftovers(scratch: Path) -> Iterator[Path]:
    """Temporary files of a writer that was killed: never read, free to be deleted under the lock."""
    for folder in (scratch, scratch / REQUESTS):
        if folder.is_dir():
            yield from (
                path
                for path in sorted(folder.iterdir())
                if path.name.startswith(".") and PARTIAL in path.name
            )


def is_store(location: str | Path | Storage) -> bool:
    """Whether a place says that it is an image store."""
    return storage_at(location).has(CONFIG)


def read_config(location: str | Path | Storage) -> StoreConfig:
    """What the store at a place says about itself.

    Raises:
        StoreError: there is no store, or not one that this toolkit reads.
    """
    storage = storage_at(location)
    path, config = storage.location, storage.where(CONFIG)
    try:
        payload = parse_json(storage.read(CONFIG))
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"{path} is not an image store: it has no {CONFIG}"
            if storage.exists()
            else f"there is no image store {path}",
            hint="Fill one with `arboretum download`, or name the folder of one.",
        ) from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{config} cannot be read: {one_line(error)}") from error
    version = payload.get("format_version") if isinstance(payload, dict) else None
    if version != FORMAT_VERSION:
        raise StoreError(
            f"{config} has format version {version!r}; this toolkit reads {FORMAT_VERSION}",
            hint="Use the version of the toolkit that wrote it, or a newer one.",
        )
    minimum = payload.get("minimum_toolkit_version", "0")
    if _release(minimum) > _release(__version__):
        raise StoreError(
            f"{path} needs version {minimum} of the toolkit; this is {__version__}",
            hint="Upgrade: `pip install -U arboretum-tools`.",
        )
    try:
        whose = str(payload.get("photo_ids", INATURALIST))
        return StoreConfig(payload["size"], payload.get("resize"), whose, version, minimum)
    except (KeyError, TypeError, UsageError) as error:
        raise StoreError(f"{config} has no usable size or resize: {error}") from error


def check_config(location: str | Path | Storage, expected: StoreConfig) -> None:
    """Refuses to put other images into a store than those that it was made for.

    Raises:
        StoreError: the store has another size or resize, or photos of other ids.
    """
    storage = storage_at(location)
    found, path = read_config(storage), storage.location
    if found.photo_ids != expected.photo_ids:
        raise StoreError(
            f"{path} holds {whose_in_words(found.photo_ids)}, and {whose_in_words(expected.photo_ids)} were "
            "asked for; under one id they are different photos, and nothing was changed",
            hint="Use a second store: --images names its folder.",
        )
    if (found.size, found.resize) != (expected.size, expected.resize):
        raise StoreError(
            f"{path} holds photos of {_in_words(found)}, and {_in_words(expected)} was asked for; "
            "a store holds one size, and nothing was changed",
            hint=f"Use a second store: --images {path}-{_suffix(expected)}, or go on with {_flags(found)}.",
        )


def check_place(location: str | Path | Storage) -> None:
    """Refuses a place that is no store and holds something else.

    Raises:
        TargetExistsError: nothing was written into it.
        StoreError: nothing can be written to such a place.
    """
    storage = storage_at(location)
    if is_store(storage):
        return
    storage.check_new()
    if storage.holds_anything(but=(LOCK, f".{CONFIG}{PARTIAL}", HIDDEN)):
        raise TargetExistsError(
            f"{storage.location} holds something else than an image store; nothing was written",
            hint="Choose another folder with --images, or move that one away first.",
        )


def write_config(storage: Storage, config: StoreConfig) -> None:
    """Makes an empty store of a place; the caller holds its lock."""
    file = storage.scratch / f".{CONFIG}{PARTIAL}{secrets.token_hex(4)}"
    write_json(file, asdict(config))
    storage.put(file, CONFIG)
    file.unlink(missing_ok=True)


def whose_in_words(photo_ids: str) -> str:
    """What photos a store holds, by whose numbers their ids are."""
    if photo_ids.startswith(OF_SPLIT):
        return f"images of an imported split ({photo_ids.removeprefix(OF_SPLIT)})"
    return "images of a folder" if photo_ids == PATHS else "photos of iNaturalist"


def _in_words(config: StoreConfig) -> str:
    return f"size {config.size}" + (f", {resized_in_words(config.resize)}" if config.resize else "")


def resized_in_words(resize: Mapping[str, Any]) -> str:
    """How the images of a store were scaled: `resized to 256 (area, JPEG quality 90)`."""
    return f"resized to {resize['shorter_side']} ({resize['filter']}, JPEG quality {resize['quality']})"


def _suffix(config: StoreConfig) -> str:
    return config.size + (f"-{config.resize['shorter_side']}" if config.resize else "")


def _flags(config: StoreConfig) -> str:
    """What `arboretum download` is told to go on with a store."""
    text = f"--size {config.size}"
    if config.resize:
        text += f" --resize {config.resize['shorter_side']} --filter {config.resize['filter']}"
    return text


def _release(version: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(version))[:3])

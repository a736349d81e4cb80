"""A store in object storage (extra `cloud`): `s3://bucket/prefix`, `gs://bucket/prefix`, `az://account/container/prefix`.

It is read, and never written, by ranges and in parallel; indexes and plans come whole, into a cache on this
machine (`store.storage.cache`), and so do images, for the next time. Credentials are those of the environment
(`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY`, ...); none
is kept, logged or told. `AWS_ENDPOINT_URL` names another server that speaks S3: MinIO, Ceph, R2.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arboretum_tools.errors import BadInputError, StoreError
from arboretum_tools.store.storage import Place
from arboretum_tools.store.storage.cache import Cache
from arboretum_tools.store.storage.lock import Task

if TYPE_CHECKING:
    import obstore.store

# What is asked for at one time: bounds memory, and keeps a line busy.
_WINDOW_BYTES, _WINDOW_PLACES = 16 * 2**20, 256

# What is read ahead of who goes through a file, and what may lie between two images in a tar.
_AHEAD_BYTES, _PADDING = 8 * 2**20, 512

# Patience: of one request, and with one that fails.
_CLIENT: dict[str, Any] = {"allow_http": True, "connect_timeout": "10s", "timeout": "120s"}
_RETRY: dict[str, Any] = {"max_retries": 4}

# The process that asked first, if one has; a list, so that it is there once for all.
_ASKING: list[int] = []

# Where a machine of Amazon's asks for its credentials, when there are no others.
_METADATA_SERVICE = "169.254.169.254"


class Bucket:
    """A prefix of a bucket; picklable, safe from several threads, and refused after a fork."""

    #: Files that are read at the same time.
    parallel = 16

    def __init__(self, location: str, cache: Cache | None = None) -> None:
        """Asks nothing yet.

        Args:
            location: scheme, bucket and prefix.
            cache: keeps what was read; None = that of the user.

        Raises:
            BadInputError: obstore is not installed.
        """
        self.location = location.rstrip("/")
        self.cache = cache or Cache.of_user()
        self._objects = _connect(self.location)
        # Size and version of the objects that were met.
        self._known: dict[str, tuple[int, str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Without credentials: another process has its own environment.
        return {"location": self.location, "cache": self.cache}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def scratch(self) -> Path:
        """Refused: nothing is written here."""
        raise self._read_only()

    def _read_only(self) -> StoreError:
        return StoreError(
            f"{self.location} is object storage, which is read and not written; nothing was changed",
            hint="Download into a folder and copy that to the bucket when it is whole, for example with "
            "`aws s3 sync`.",
        )

    def check_new(self) -> None:
        """Refuses it: nothing is written to a bucket."""
        _ = self.scratch

    def fresh(self) -> Bucket:
        """The same, with a cache that keeps no images."""
        return Bucket(self.location, Cache(self.cache.folder, 0))

    def absolute(self) -> str:
        """The address, which means the same everywhere."""
        return self.location

    def where(self, name: str) -> str:
        """The address of an object."""
        return f"{self.location}/{name}"

    def names(self, pattern: re.Pattern[str], under: str = "") -> list[str]:
        """The objects right below the prefix, or below a part of it."""
        found, _ = self._listed(under)
        return [name for name in found if pattern.fullmatch(name)]

    def exists(self) -> bool:
        """Whether anything has the prefix."""
        return self.holds_anything()

    def holds_anything(self, but: tuple[str, ...] = ()) -> bool:
        """Whether anything else has the prefix."""
        found, below = self._listed("")
        return any(not name.startswith(but) for name in (*found, *below))

    def _listed(self, under: str) -> tuple[list[str], list[str]]:
        """Names of the objects in a part of the prefix, and of the parts of it."""
        import obstore

        with self._told(under):
            listed = obstore.list_with_delimiter(self._objects, under or None)
        names = []
        for found in listed["objects"]:
            path = str(found["path"])
            self._known[path] = found["size"], str(found["e_tag"] or found["last_modified"])
            names.append(path.rpartition("/")[2])
        return names, [part.rstrip("/").rpartition("/")[2] for part in listed["common_prefixes"]]

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        try:
            self._about(name)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes:
        """A whole object, as it is now."""
        import obstore

        with self._told(name):
            return bytes(obstore.get(self._objects, name).bytes())

    def size(self, name: str) -> int:
        """Bytes of an object."""
        return self._about(name)[0]

    def version(self, name: str) -> str:
        """Its entity tag, as it was when it was first asked for."""
        return self._about(name)[1]

    def open(self, name: str) -> RemoteFile:
        """An object, read by ranges."""
        size, version = self._about(name)
        return RemoteFile(self, name, size, f"{self.where(name)} {version}")

    def local(self, names: Sequence[str]) -> list[Path]:
        """Objects as files of the cache, several fetched at a time."""
        if len(names) == 1:
            return [self._cached(names[0])]
        with ThreadPoolExecutor(self.parallel, "arboretum-fetch") as pool:
            return list(pool.map(self._cached, names))

    def _cached(self, name: str) -> Path:
        import obstore

        _, version = self._about(name)

        def fetch(path: Path) -> None:
            with self._told(name), path.open("wb") as file:
                for chunk in obstore.get(self._objects, name):
                    file.write(chunk)

        return self.cache.file(f"{self.where(name)} {version}", name.rpartition("/")[2], fetch)

    def put(self, _file: Path, _name: str) -> None:
        """Refused."""
        raise self._read_only()

    def remove(self, _name: str) -> None:
        """Refused."""
        raise self._read_only()

    def lock(self, _task: Task) -> AbstractContextManager[Callable[[], None] | None]:
        """Refused."""
        raise self._read_only()

    def ranges(self, name: str, places: Sequence[Place]) -> list[bytes]:
        """Bytes of an object, several ranges at a time; those that lie close together in one request."""
        import obstore

        starts, lengths = [offset for offset, _ in places], [size for _, size in places]
        with self._told(name):
            return [
                bytes(part)
                for part in obstore.get_ranges(self._objects, name, starts=starts, lengths=lengths)
            ]

    def _about(self, name: str) -> tuple[int, str]:
        """Size and version of an object."""
        import obstore

        found = self._known.get(name)
        if found is None:
            with self._told(name):
                head = obstore.head(self._objects, name)
            found = self._known[name] = head["size"], str(head["e_tag"] or head["last_modified"])
        return found

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turns what obstore raises into a FileNotFoundError or one of our errors, without the server's text.

        That text may hold the id of a key, or what was signed.
        """
        from obstore import exceptions

        _check_process(self.location)
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._no_bucket() from None
            raise FileNotFoundError(2, "there is no such object", self.where(name)) from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError) as error:
            raise self._refused(_code(error)) from None
        except (exceptions.BaseError, OSError) as error:
            text = str(error)
            if "NoSuchBucket" in text:
                raise self._no_bucket() from None
            if _METADATA_SERVICE in text:
                raise self._refused("there are none in the environment") from None
            raise StoreError(
                f"{self.where(name)} cannot be read: {_code(error) or 'the server cannot be reached'}",
                hint="Is the network up, and AWS_ENDPOINT_URL, where it is set, right? Run it again.",
            ) from None

    def _no_bucket(self) -> StoreError:
        bucket = "/".join(self.location.split("/")[:3])
        return StoreError(
            f"there is no bucket {bucket}", hint="Look at its name, and at AWS_ENDPOINT_URL and AWS_REGION."
        )

    def _refused(self, why: str) -> StoreError:
        return StoreError(
            f"{self.location} cannot be read with these credentials" + (f": {why}" if why else ""),
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (or what Google's and "
            "Microsoft's tools take); AWS_SKIP_SIGNATURE=true for a public bucket.",
        )


class RemoteFile:
    """An object, read by ranges and through the cache."""

    __slots__ = ("_ahead", "_bucket", "_end", "_name", "_size", "_version")

    def __init__(self, bucket: Bucket, name: str, size: int, version: str) -> None:
        self._bucket = bucket
        self._name = name
        self._size = size
        self._version = version
        # Where the last read ended, and what was read ahead from where.
        self._end = -1
        self._ahead = (0, b"")

    def read(self, offset: int, *sizes: int) -> list[bytes]:
        """Pieces one behind the other; who reads a file from front to back gets more at a time."""
        size = sum(sizes)
        begin, ready = self._ahead
        if not begin <= offset <= offset + size <= begin + len(ready):
            begin = offset
            if 0 <= offset - self._end < _PADDING and offset < self._size:
                (ready,) = self._bucket.ranges(self._name, [self._inside((offset, max(size, _AHEAD_BYTES)))])
                self._ahead = begin, ready
            else:
                (ready,) = self._fetched([(offset, size)])
        self._end = offset + size
        pieces, start = [], offset - begin
        for size in sizes:
            pieces.append(ready[start : start + size])
            start += size
        return pieces

    def read_many(self, places: Sequence[Place], before: int) -> Iterator[tuple[bytes, bytes]]:
        """Places a window at a time."""
        for window in _windows(places):
            ranges = [(offset - before, before + size) for offset, size in window]
            for data in self._fetched(ranges):
                yield data[:before], data[before:]

    def read_into(
        self, places: Sequence[Place], before: bytearray, into: Sequence[memoryview]
    ) -> Iterator[int]:
        """Places a window at a time, each copied once."""
        pieces = self.read_many(places, len(before))
        for (head, data), memory in zip(pieces, into, strict=True):
            before[: len(head)] = head
            memory[: len(data)] = data
            yield len(head) + len(data)

    def _inside(self, place: Place) -> Place:
        offset, size = place
        return offset, max(0, min(size, self._size - offset))

    def _fetched(self, places: Sequence[Place]) -> list[bytes]:
        """Bytes at some places, as many as the file has there; from the cache where it has them."""
        cache = self._bucket.cache
        inside = [self._inside(place) for place in places]
        found = [cache.piece(self._version, *place) if place[1] else b"" for place in inside]
        missing = [number for number, data in enumerate(found) if data is None]
        if missing:
            fetched = self._bucket.ranges(self._name, [inside[number] for number in missing])
            for number, data in zip(missing, fetched, strict=True):
                cache.keep_piece(self._version, inside[number][0], data)
                found[number] = data
        return [data or b"" for data in found]


def _windows(places: Sequence[Place]) -> Iterator[list[Place]]:
    window: list[Place] = []
    held = 0
    for place in places:
        if window and (len(window) == _WINDOW_PLACES or held + place[1] > _WINDOW_BYTES):
            yield window
            window, held = [], 0
        window.append(place)
        held += place[1]
    if window:
        yield window


def _connect(location: str) -> obstore.store.ObjectStore:
    try:
        from obstore.store import from_url
    except ImportError:
        raise BadInputError(
            f"{location} is object storage, and obstore, which reads it, is not installed",
            hint="Install the extra: pip install '.[cloud]' in the clone.",
        ) from None
    config = _profile() if location.startswith("s3://") else {}
    return from_url(location, config=config, client_options=_CLIENT, retry_config=_RETRY)


def _check_process(location: str) -> None:
    """Refuses to ask in a process that was forked from one that asked.

    obstore's threads are not in it, and it would wait for them without an end.

    Raises:
        StoreError: it was.
    """
    if not _ASKING:
        _ASKING.append(os.getpid())
    if _ASKING[0] != os.getpid():
        raise StoreError(
            f"{location} cannot be read here: this process was forked from one that has asked for objects",
            hint='Start workers anew: DataLoader(..., multiprocessing_context="spawn"), or '
            'multiprocessing.get_context("spawn").',
        )


def _profile() -> dict[str, str]:
    """Key and region of `$AWS_PROFILE`, where the environment has no key: obstore reads no profiles."""
    if os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_SKIP_SIGNATURE"):
        return {}
    home, name = Path.home() / ".aws", os.environ.get("AWS_PROFILE") or "default"
    keys = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "region": "region",
    }
    found: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        profiles = configparser.RawConfigParser()
        try:
            profiles.read(os.environ.get(variable) or home / file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        if profiles.has_section(section):
            found |= {keys[key]: value for key, value in profiles.items(section) if key in keys}
    return found


def _code(error: BaseException) -> str:
    """The code of a server's error (`AccessDenied`), or its HTTP status; nothing else of what it said."""
    text = str(error)
    if code := re.search(r"<Code>([A-Za-z]{1,60})</Code>", text):
        return code[1]
    status = re.search(r"status code: (\d{3})", text)
    return f"HTTP {status[1]}" if status else ""

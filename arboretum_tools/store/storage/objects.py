"""The objects below one prefix of object storage (extra `cloud`): the only module that knows obstore.

Credentials are those of the environment (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`,
`GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY`, ...); none is kept, logged or told.
`AWS_ENDPOINT_URL` names another server that speaks S3: MinIO, Ceph, R2.
"""

from __future__ import annotations

import configparser
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from arboretum_tools.errors import BadInputError, StoreError
from arboretum_tools.store.storage import Place

if TYPE_CHECKING:
    import obstore.store

# Patience: of one request, and with one that fails; obstore does not repeat every kind of it.
_CLIENT: dict[str, Any] = {"allow_http": True, "connect_timeout": "10s", "timeout": "120s"}
_RETRY: dict[str, Any] = {"max_retries": 4}

#: Seconds between attempts to write, of which there is one more; a run of days can wait half a minute.
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)

# An upload in parts: bytes of a part, of which there are 10,000 at most, and how many are in memory.
_PART_BYTES, _PARTS = 8 * 2**20, 4

# The process that asked first, if one has; a list, so that it is there once for all.
_ASKING: list[int] = []

# Where a machine of Amazon's asks for its credentials, when there are no others.
_METADATA_SERVICE = "169.254.169.254"


class UnansweredError(StoreError):
    """A request that may be made again: the server could not be reached, failed, or was too busy."""

    def given_up(self) -> StoreError:
        """The same once it is not made again."""
        return StoreError(self.message, hint=self.hint)


@dataclass(frozen=True, slots=True)
class Version:
    """Which content of an object is meant.

    Attributes:
        e_tag: its entity tag, as the server gives it.
        number: what some servers count besides.
    """

    e_tag: str | None
    number: str | None

    @classmethod
    def of(cls, found: Any) -> Version:
        """That of what obstore says of an object."""
        return cls(found["e_tag"], found["version"])


@dataclass(frozen=True, slots=True)
class Found:
    """A small object, and what its server says about it.

    Attributes:
        data: the whole of it.
        version: which content that is.
        modified: when it was written, by the server's clock.
    """

    data: bytes
    version: Version
    modified: datetime


class Objects:
    """What can be asked of the objects below a prefix; safe from several threads, and refused after a fork.

    Every method raises a StoreError without a word of the server's but its code: its text may hold the id of
    a key, or what was signed. What is not there is a FileNotFoundError.
    """

    def __init__(self, location: str) -> None:
        """Asks nothing yet.

        Args:
            location: scheme, bucket and prefix.

        Raises:
            BadInputError: obstore is not installed.
        """
        self.location = location
        self._objects = _connect(location)

    def where(self, name: str) -> str:
        """The address of an object."""
        return f"{self.location}/{name}"

    def listed(self, under: str) -> tuple[dict[str, tuple[int, str]], list[str]]:
        """Size and version of each object in a part of the prefix, by path; and the parts of that."""
        import obstore

        with self._told(under):
            listed = obstore.list_with_delimiter(self._objects, under or None)
        found = {str(one["path"]): _size_and_version(one) for one in listed["objects"]}
        return found, [part.rstrip("/").rpartition("/")[2] for part in listed["common_prefixes"]]

    def about(self, name: str) -> tuple[int, str]:
        """Size and version of an object."""
        import obstore

        with self._told(name):
            return _size_and_version(obstore.head(self._objects, name))

    def read(self, name: str) -> Found:
        """A whole object, as it is now."""
        import obstore

        with self._told(name):
            result = obstore.get(self._objects, name)
            return Found(bytes(result.bytes()), Version.of(result.meta), result.meta["last_modified"])

    def pieces(self, name: str) -> Iterator[bytes]:
        """A whole object, piece by piece."""
        import obstore

        with self._told(name):
            yield from map(bytes, obstore.get(self._objects, name))

    def ranges(self, name: str, places: Sequence[Place]) -> list[bytes]:
        """Bytes of an object, several ranges at a time; those that lie close together in one request."""
        import obstore

        starts, lengths = [offset for offset, _ in places], [size for _, size in places]
        with self._told(name):
            return [
                bytes(part)
                for part in obstore.get_ranges(self._objects, name, starts=starts, lengths=lengths)
            ]

    def create(self, name: str, data: bytes) -> Version | None:
        """Makes a small object; None where there is one of this name already."""
        from obstore.exceptions import AlreadyExistsError

        with suppress(AlreadyExistsError):
            return self._put(name, data, "create")
        return None

    def replace(self, name: str, data: bytes, version: Version) -> Version | None:
        """Makes a small object out of an older one; None where that has changed, or is gone."""
        from obstore.exceptions import PreconditionError

        given = {"e_tag": version.e_tag, "version": version.number}
        with suppress(PreconditionError):
            return self._put(name, data, {key: value for key, value in given.items() if value is not None})
        return None

    def overwrite(self, name: str, data: bytes) -> None:
        """Makes a small object, whatever is there."""
        self._put(name, data, "overwrite")

    def _put(self, name: str, data: bytes, mode: Literal["create", "overwrite"] | Any) -> Version:
        import obstore

        for pause in (*PAUSES_S, None):
            try:
                with self._told(name, "written"):
                    return Version.of(obstore.put(self._objects, name, data, mode=mode, use_multipart=False))
            except UnansweredError:
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError

    def upload(self, name: str, pieces: Iterator[bytes]) -> None:
        """Makes an object of any size, in parts, whatever is there; what `pieces` raises ends it.

        Args:
            name: of the object, which is not there before the last part is.
            pieces: its bytes; some are read ahead of those that were sent.

        Raises:
            UnansweredError: it may be there all the same.
        """
        import obstore

        with self._told(name, "written"):
            obstore.put(
                self._objects,
                name,
                pieces,
                use_multipart=True,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS,
            )

    def remove(self, name: str) -> None:
        """Removes an object, if it is there."""
        import obstore

        with suppress(FileNotFoundError), self._told(name, "removed"):
            obstore.delete(self._objects, name)

    @contextmanager
    def _told(self, name: str, done: str = "read") -> Iterator[None]:
        """Turns what obstore raises into a FileNotFoundError or an error of ours, without its text."""
        from obstore import exceptions

        _check_process(self.location)
        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._no_bucket() from None
            if done == "written":
                # An upload in parts that was ended, or done, before.
                raise UnansweredError(f"{self.where(name)} cannot be written: the upload is gone") from None
            raise FileNotFoundError(2, "there is no such object", self.where(name)) from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError) as error:
            raise self._refused(_code(error), done) from None
        except (exceptions.BaseError, OSError) as error:
            text = str(error)
            if "NoSuchBucket" in text:
                raise self._no_bucket() from None
            if _METADATA_SERVICE in text:
                raise self._refused("there are none in the environment", done) from None
            kind = UnansweredError if done == "written" else StoreError
            raise kind(
                f"{self.where(name)} cannot be {done}: {_code(error) or 'the server cannot be reached'}",
                hint="Is the network up, and AWS_ENDPOINT_URL, where it is set, right? Run it again.",
            ) from None

    def _no_bucket(self) -> StoreError:
        bucket = "/".join(self.location.split("/")[:3])
        return StoreError(
            f"there is no bucket {bucket}", hint="Look at its name, and at AWS_ENDPOINT_URL and AWS_REGION."
        )

    def _refused(self, why: str, done: str) -> StoreError:
        return StoreError(
            f"{self.location} cannot be {done} with these credentials" + (f": {why}" if why else ""),
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (or what Google's and "
            "Microsoft's tools take); AWS_SKIP_SIGNATURE=true for a public bucket.",
        )


def _size_and_version(found: Any) -> tuple[int, str]:
    return found["size"], str(found["e_tag"] or found["last_modified"])


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

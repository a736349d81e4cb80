"""One file of a folder as a photo: read, judged by the checks of a download, shrunk."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_metadata.vocab import MAX_PIXELS
from arboretum_tools.downloading.fetching.verify import Answer, Verdict, judge, judge_pixels, record_of
from arboretum_tools.downloading.resize import Resize
from arboretum_tools.errors import BadInputError
from arboretum_tools.store.shards.record import PhotoRecord
from arboretum_tools.system.regular_files import open_regular

#: A file's fate: its record and, if that is `ok`, its bytes.
Outcome = tuple[PhotoRecord, bytes | None]


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes photos of files.

    Attributes:
        folder: they lie in or below it.
        max_pixels: how many a photo may have.
        decode: whether its pixels are looked at too.
        resize: how it is shrunk; None = it is stored as it is.
    """

    folder: Path
    max_pixels: int = MAX_PIXELS
    decode: bool = False
    resize: Resize | None = None

    def read(self, file: Mapping[str, Any]) -> Outcome:
        """What becomes of a file: photo_id, path, url and, if it is not to be read, status and reason.

        Raises:
            BadInputError: the folder is no longer there.
        """
        photo_id, url = file["photo_id"], file["url"]
        if file["status"] is not None:
            return record_of(photo_id, Verdict(file["status"], file["reason"]), url=url), None
        try:
            data = _bytes_of(self.folder / file["path"])
        except OSError as error:
            if not self.folder.is_dir():
                raise BadInputError(
                    f"the folder {self.folder} is no longer there; what was imported is kept",
                    hint="Run the same command again when it is back: it goes on from there.",
                ) from error
            return record_of(photo_id, Verdict("failed", f"cannot be read: {error.strerror}"), url=url), None
        answer = Answer(None, url, data)
        verdict = judge(answer, max_pixels=self.max_pixels)
        if verdict.image is not None and self.decode:
            verdict = judge_pixels(answer, verdict)
        record = record_of(photo_id, verdict, url=url, answer=answer)
        if verdict.image is None:
            return record, None
        return (record, data) if self.resize is None else self.resize.apply(record, data)

    def read_all(self, files: Iterable[Mapping[str, Any]]) -> Iterator[Outcome]:
        """What becomes of each file, in their order; some are read ahead, by a thread per core."""
        threads = len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(threads, "arboretum-import") as pool:
            ahead: deque[Future[Outcome]] = deque()
            for file in files:
                ahead.append(pool.submit(self.read, file))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()


def _bytes_of(path: Path) -> bytes:
    """All of a regular file: what has become a link or a pipe since it was listed is not opened."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read()

"""Why do most of mine fail? Looks at all that stands between this machine and a stored photo.

Each check is small and says what it saw. The hosts are asked for one small thing each, by the standard
library, so that a broken environment of the downloader does not break what should explain it.
"""

from __future__ import annotations

import http.client
import os
import platform
import resource
import shutil
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from arboretum_metadata.vocab import STATUSES
from arboretum_tools.downloading.network.addresses import is_public
from arboretum_tools.downloading.network.proxy import Proxy, proxy_for
from arboretum_tools.downloading.network.urls import OPEN_DATA_HOST, STATIC_HOST
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.errors import ArboretumError, BadInputError
from arboretum_tools.imaging.image_format import NotWholeError, inspect
from arboretum_tools.store import inventory, states
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards import layout
from arboretum_tools.store.shards.layout import MAX_IMAGE_BYTES
from arboretum_tools.store.storage import as_named, storage_at
from arboretum_tools.version import __version__
from arboretum_tools.wording import one_line

#: What a check comes to, best first.
LEVELS = ("ok", "warning", "problem")

_TIMEOUT_S = 10.0
# Dates in answers have whole seconds, and an answer may be under way for a while.
_CLOCK_S = 120.0
_ROOM_BYTES = 5 * 10**9
_INODES = 10_000
# Descriptors beside those of the connections: shards, plans, DuckDB.
_SPARE_FILES = 64

#: What a state of many photos means, for those who see it first.
ADVICE = {
    "gone": "they were deleted at the source after the metadata were made; nothing can be done",
    "forbidden": "their licence changed, or they lie on the other host; try --retry forbidden once",
    "invalid": "something between you and the host changes the bodies (a proxy, a login page), or the files "
    "are damaged there; try --retry invalid once",
    "failed": "the network or the host was not well; run the same command again, with fewer --connections",
}


@dataclass(frozen=True, slots=True)
class Check:
    """What one check saw.

    Attributes:
        name: what was looked at.
        level: one of LEVELS.
        saw: what was seen, a sentence.
        advice: what to do; "" where nothing is to be done.
    """

    name: str
    level: str
    saw: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What all checks saw, in the order in which a photo would meet them."""

    checks: tuple[Check, ...]

    @property
    def level(self) -> str:
        """The worst level of all checks."""
        return max((check.level for check in self.checks), key=LEVELS.index, default="ok")

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return {"level": self.level, "checks": [asdict(check) for check in self.checks]}


def examine(images: str | Path, options: DownloadOptions) -> Diagnosis:
    """Looks at environment, disk, store and hosts; changes nothing but for the few bytes that it asks for.

    Args:
        images: folder of the store, which need not be there.
        options: with the origin, the contact and the connections of the download that fails.
    """
    images = as_named(images)
    try:
        here, known = [*_disk(images), *_store(images)], _served(images)
    except OSError as error:
        # Of a path that cannot be, such as one of 300 letters.
        saw, advice = f"no store can be made there: {one_line(error)}", "Choose another folder with --images."
        here, known = [Check("store", "problem", saw, advice)], {}
    checks = [_versions(), _files(options.connections), *here, _trust()]
    if options.rules.origin is not None:
        origins = [options.rules.origin.rstrip("/")]
        checks.append(Check("origin", "ok", f"photos are asked of {origins[0]}, not of the image hosts"))
    else:
        origins = [f"https://{host}" for host in (OPEN_DATA_HOST, STATIC_HOST)]
    for origin in origins:
        # An origin of one's own stands for every host.
        photo = known.get(origin) if options.rules.origin is None else next(iter(known.values()), None)
        checks += _host(origin, options, photo)
    return Diagnosis(tuple(checks))


def _served(images: str | Path) -> dict[str, str]:
    """A photo that each host has served, by the store; nothing where that cannot be read."""
    try:
        return states.served(ImageStore.open(images)) if layout.is_store(images) else {}
    except ArboretumError:
        # Told already.
        return {}


def _versions() -> Check:
    def of(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"{package} missing"

    packages = [of(name) for name in ("aiohttp", "duckdb", "pyarrow", "pillow")]
    saw = f"arboretum-tools {__version__}, Python {platform.python_version()}, {', '.join(packages)}"
    if any(text.endswith("missing") for text in packages):
        return Check("versions", "problem", saw, "Install again: `pip install -U arboretum-tools`.")
    return Check("versions", "ok", f"{saw}, {platform.system()} {platform.machine()}")


def _files(connections: int) -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    saw = f"{soft} files may be open at once"
    if soft != resource.RLIM_INFINITY and soft < connections + _SPARE_FILES:
        return Check(
            "open files", "problem", saw, f"Raise it (`ulimit -n`), or use --connections {soft // 4}."
        )
    return Check("open files", "ok", saw)


def _disk(images: str | Path) -> Iterator[Check]:
    # Of a store in a bucket it is the disk where shards are filled.
    written = storage_at(images).scratch
    folder = written.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    saw = f"{free / 1e9:.1f} GB are free for {written}"
    if free < _ROOM_BYTES:
        yield Check("disk", "warning", saw, "Free some space, or choose another disk with --images.")
    else:
        yield Check("disk", "ok", saw)
    system = os.statvfs(folder)
    # File systems that make inodes as they need them say 0 of 0.
    if system.f_files and system.f_favail < _INODES:
        yield Check(
            "inodes",
            "warning",
            f"{system.f_favail} files can still be made there",
            "Remove files that are not needed.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Check(
            "folder",
            "problem",
            f"{folder} may not be written",
            "Ask for the right to, or choose another --images.",
        )


def _store(images: str | Path) -> Iterator[Check]:
    try:
        layout.check_place(images)
    except ArboretumError as error:
        yield Check("store", "problem", error.message.partition(";")[0], error.hint)
        return
    if not layout.is_store(images):
        yield Check("store", "ok", f"{images} is not a store yet")
        return
    try:
        found = inventory.status(images)
    except ArboretumError as error:
        yield Check("store", "problem", error.message, error.hint)
        return
    tried = sum(found.photos[state] for state in STATUSES)
    failures = {state: n for state, n in found.photos.items() if state in ADVICE and n}
    text = ", ".join(f"{n} {state}" for state, n in failures.items())
    saw = f"{tried} photos were tried, {text or 'none failed'}"
    if failures and sum(failures.values()) > tried / 20:
        worst = max(failures, key=lambda state: failures[state])
        reasons = [reason.error for reason in found.reasons if reason.status == worst][:2]
        saw += f"; most often {worst}: {' and '.join(reasons)}"
        yield Check("store", "warning", saw, f"{worst}: {ADVICE[worst]}.")
    else:
        yield Check("store", "ok", saw)
    if found.open_shards:
        yield Check(
            "open shard",
            "ok",
            f"a run is going on, or was cut short ({found.open_shards} open)",
            "If none is going on, run the same download again: it keeps what came.",
        )


def _trust() -> Check:
    paths = ssl.get_default_verify_paths()
    named = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    absent = [f"{name}={path}" for name, path in named.items() if not Path(path).exists()]
    advice = "Install the system's CA certificates, or name a bundle with $SSL_CERT_FILE."
    if absent:
        return Check("certificates", "problem", f"{', '.join(absent)} is not there", advice)
    usual = [path for path in (paths.openssl_cafile, paths.openssl_capath) if Path(path).exists()]
    if not named and not usual:
        return Check("certificates", "problem", "no CA certificates were found", advice)
    where = ", ".join(f"{name}={path}" for name, path in named.items()) or usual[0]
    return Check("certificates", "ok", f"CA certificates: {where}")


def _host(origin: str, options: DownloadOptions, photo: str | None) -> Iterator[Check]:
    host = urlsplit(origin).hostname or ""
    try:
        proxy = proxy_for(origin)
    except BadInputError as error:
        yield Check("proxy", "problem", error.message, error.hint)
        return
    if proxy is not None:
        yield Check("proxy", "ok", f"{host} is asked through {proxy.url}, as the environment says")
    else:
        found = _resolve(host)
        if not found:
            yield Check(
                "name",
                "problem",
                f"{host} has no address",
                "Check the network and its name servers, or set $HTTPS_PROXY.",
            )
            return
        private = [address for address in found if not is_public(address)]
        if private and options.rules.origin is None:
            yield Check(
                "name",
                "problem",
                f"{host} leads to {private[0]}, which is not public",
                "Some filter or hosts file of your network answers for it; ask who runs the network.",
            )
            return
    yield from _answer(origin, host, proxy, options, photo)


def _resolve(host: str) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    # The second one is of a name that is none.
    except (OSError, UnicodeError):
        return []


def _answer(
    origin: str, host: str, proxy: Proxy | None, options: DownloadOptions, photo: str | None
) -> Iterator[Check]:
    """Asks a host for a photo that it has served, or for its root where none is known."""
    began, clock = time.monotonic(), time.time()
    path = urlsplit(photo).path if photo is not None else "/"
    request = urllib.request.Request(  # noqa: S310 - a host of photos
        f"{origin}{path}", headers={"User-Agent": options.user_agent}
    )
    # Nobody who follows redirects or takes an answer for an error.
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler())
    if proxy is not None:
        address = urlsplit(proxy.url)
        request.set_proxy(address.netloc, address.scheme)
        if proxy.authorization is not None:
            request.add_unredirected_header("Proxy-Authorization", proxy.authorization)
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            status, headers = response.status, response.headers
            body = response.read(MAX_IMAGE_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        reason = one_line(error)
        advice = "Check the network, the proxy ($HTTPS_PROXY) and the firewall."
        if "CERTIFICATE" in reason.upper():
            advice = (
                "Something reads the traffic (then name its CA with $SSL_CERT_FILE), or the clock is wrong."
            )
        yield Check("answer", "problem", f"{host} cannot be asked: {reason}", advice)
        return
    seconds = time.monotonic() - began
    if status == 407:
        yield Check(
            "answer",
            "problem",
            "the proxy wants a name and password, or others (HTTP 407)",
            "Write them into the variable: $HTTPS_PROXY=http://name:password@host:port.",
        )
        return
    if status in (429, 503):
        yield Check(
            "answer", "warning", f"{host} answers {status}", "Wait a while, and use fewer --connections."
        )
    elif photo is not None:
        yield _brought_home(host, path, status, body, seconds)
    elif status >= 400:
        # Where a bucket does not list what it holds, that is what its root says on a good day, too.
        yield Check(
            "answer",
            "warning",
            f"{host} answers in {seconds:.2f} s, with HTTP {status} where no photo was asked for",
            "Download a few photos (`--limit 10`), and run this again: it then asks for one of them.",
        )
    else:
        yield Check("answer", "ok", f"{host} answers in {seconds:.2f} s (HTTP {status})")
    yield from _clock(headers.get("Date"), clock)


def _brought_home(host: str, path: str, status: int, body: bytes, seconds: float) -> Check:
    """Whether a photo that a host has served before came whole."""
    if status != 200:
        return Check(
            "answer",
            "problem",
            f"{host} answers HTTP {status} for {path}, a photo that it has served before",
            "It refuses who asks, or somebody else answers in its place: look at the proxy and at what the "
            "network filters; a host may also have blocked this address.",
        )
    try:
        image = inspect(body)
    except NotWholeError as error:
        return Check(
            "answer", "problem", f"{host} answers {path} with what is no photo: {error}", ADVICE["invalid"]
        )
    saw = f"{host} gave a photo of {image.width} x {image.height} pixels in {seconds:.2f} s ({path})"
    return Check("answer", "ok", saw)


def _clock(date: str | None, now: float) -> Iterator[Check]:
    try:
        there = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return
    off = now - there
    if abs(off) > _CLOCK_S:
        where = "behind" if off < 0 else "ahead"
        yield Check(
            "clock",
            "warning",
            f"this clock is {abs(off):.0f} s {where}",
            "Set it: certificates expire by it.",
        )

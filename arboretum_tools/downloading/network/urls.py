"""Where a photo is asked for, and where nothing is ever asked: the rules for addresses that we did not make.

A photo's address is derived from its id and extension; one that came with the metadata is used only on a
host of the allow-list. The same rules hold for every redirect. `--origin` replaces scheme, host and port of
whatever passed them, and is the only way to a loopback or private address.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from arboretum_metadata.vocab import EXTENSIONS, OPEN_DATA_ADDRESS, PHOTO_SIZES
from arboretum_tools.errors import UsageError

#: The bucket of the iNaturalist Open Data (https://github.com/inaturalist/inaturalist-open-data).
OPEN_DATA_HOST = "inaturalist-open-data.s3.amazonaws.com"

#: Where photos under other licences lie.
STATIC_HOST = "static.inaturalist.org"

#: Hosts that are asked without being named by the user; always over https.
KNOWN_HOSTS = frozenset({OPEN_DATA_HOST, STATIC_HOST})

_PHOTO_PATH = re.compile(r"(.*/photos/\d+/)([a-z]+)(\.[A-Za-z]+)", re.ASCII)
_OPEN_DATA = re.compile(OPEN_DATA_ADDRESS, re.ASCII | re.IGNORECASE)
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_PORTS = {"http": 80, "https": 443}
# An address is printable ASCII without spaces (RFC 3986).
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")


class AddressRefusedError(ValueError):
    """An address that is never asked; the text says why. Internal: ends as the photo's error."""


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses may be asked.

    Attributes:
        origin: `scheme://host[:port]` that replaces those of every photo; None = the real hosts.
        allow_hosts: hosts besides KNOWN_HOSTS.
    """

    origin: str | None = None
    allow_hosts: frozenset[str] = frozenset()
    _origin: SplitResult | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.origin is not None:
            object.__setattr__(self, "_origin", _parse_origin(self.origin))
        hosts = frozenset(host.lower() for host in self.allow_hosts)
        for host in hosts:
            if not _HOST_NAME.fullmatch(host) or _is_address(host):
                raise UsageError(
                    f"{host!r} is not the name of a host",
                    hint="Give a bare name such as images.example.org; a loopback or private address is "
                    "reached by --origin only.",
                )
        object.__setattr__(self, "allow_hosts", hosts)

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that a photo's address may name."""
        return KNOWN_HOSTS | self.allow_hosts

    def photo(self, photo_id: int, ext: str, url: str | None, size: str) -> str:
        """The address of a photo, before any origin override.

        Args:
            photo_id: 1 or more.
            ext: extension in the address, case kept.
            url: as the metadata have it; None = derived from id and extension.
            size: one of `vocab.PHOTO_SIZES`.

        Raises:
            AddressRefusedError: the address may not be asked.
        """
        if photo_id < 1:
            raise AddressRefusedError("a photo id is 1 or more")
        if url is None:
            if ext not in _EXTENSIONS and ext.lower() not in EXTENSIONS:
                raise AddressRefusedError(f"{ext!r} is not an extension of a photo")
            return f"https://{OPEN_DATA_HOST}/photos/{photo_id}/{size}.{ext}"
        parts = urlsplit(self.check(url))
        match = _PHOTO_PATH.fullmatch(parts.path)
        if match is None or match[2] not in PHOTO_SIZES:
            if parts.hostname in KNOWN_HOSTS:
                raise AddressRefusedError("not the address of an iNaturalist photo")
            return urlunsplit(parts)
        return urlunsplit(parts._replace(path=f"{match[1]}{size}{match[3]}"))

    def check(self, url: str) -> str:
        """The address as it may be asked: known hosts over https, no default port, no fragment.

        Raises:
            AddressRefusedError: another scheme or port, user info, or a host that is not allowed.
        """
        if _UNPRINTABLE.search(url):
            raise AddressRefusedError("an address with spaces, control characters or others than ASCII")
        # One bucket has many names; it is asked under the one that the rules know.
        url = _OPEN_DATA.sub(f"https://{OPEN_DATA_HOST}/", url, count=1) if _OPEN_DATA.match(url) else url
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise AddressRefusedError(f"not an address: {error}") from None
        scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
        if scheme == "file" and not parts.path.startswith("/"):
            raise AddressRefusedError("a file of a local folder, which `arboretum import-images` takes in")
        if scheme not in _PORTS:
            raise AddressRefusedError(f"the scheme {scheme!r} is not http or https")
        if parts.username is not None or parts.password is not None:
            raise AddressRefusedError("an address with user info")
        if host not in self.hosts:
            raise AddressRefusedError(f"{host or 'no host'} is not an allowed host")
        if port not in (None, _PORTS[scheme]):
            raise AddressRefusedError(f"port {port} is not the port of {scheme}")
        if host in KNOWN_HOSTS:
            scheme = "https"
        return urlunsplit((scheme, host, parts.path or "/", parts.query, ""))

    def target(self, url: str) -> str:
        """Where a checked address is really asked: the origin's scheme, host and port, if there is one."""
        if self._origin is None:
            return url
        return f"{self._origin.scheme}://{self._origin.netloc}{url[len(base_url_of(url)) :]}"

    def others(self, url: str) -> list[str]:
        """Where else a photo of iNaturalist may lie that is not there, in the order in which to ask.

        A photo whose licence was opened has moved to the bucket of Open Data, and its old address is
        forbidden (https://github.com/inaturalist/iNaturalistAPI/issues/299). The extension may be spelled
        otherwise.

        Args:
            url: a checked address, before any origin override.
        """
        if not url.startswith(_KNOWN_PLACES):
            return []
        path, _, query = url.partition("?")
        in_bucket = path.replace(f"//{STATIC_HOST}/", f"//{OPEN_DATA_HOST}/", 1)
        found = [in_bucket] if in_bucket != path else []
        stem, dot, ext = path.rpartition(".")
        if other := _SPELLINGS.get(ext) if ext.islower() else ext.lower():
            found.append(f"{stem}{dot}{other}{'?' if query else ''}{query}")
            if in_bucket != path:
                found.append(f"{in_bucket.rpartition('.')[0]}.{other}")
        # An origin may stand for both hosts.
        by_target: dict[str, str] = {}
        for one in (url, *found):
            by_target.setdefault(self.target(one), one)
        return list(by_target.values())[1:]

    def redirect(self, asked: str, location: str) -> str:
        """The address, before any origin override, that a redirect leads to.

        Args:
            asked: what was asked, after the override.
            location: the header as it came.

        Raises:
            AddressRefusedError: it leads where nothing may be asked, or from https to http.
        """
        try:
            there = urljoin(asked, location)
            parts = urlsplit(there)
        except ValueError as error:
            raise AddressRefusedError(f"not an address: {error}") from None
        if self._origin is not None and _same_place(parts, self._origin):
            # A redirect within the origin: the same as one within the host that it stands for.
            there = urlunsplit(parts._replace(scheme="https", netloc=OPEN_DATA_HOST))
        elif urlsplit(asked).scheme == "https" and parts.scheme.lower() == "http":
            raise AddressRefusedError("a redirect from https to http")
        return self.check(there)


_EXTENSIONS = frozenset(EXTENSIONS)

# Extensions in which the metadata and the bucket are known to disagree: one and the same upload is listed as
# `jpeg` in one source and as `jpg` in another, and some sources lower the case, on which the bucket insists.
_SPELLINGS = {"jpg": "jpeg", "jpeg": "jpg"}
_KNOWN_PLACES = tuple(f"https://{host}/photos/" for host in sorted(KNOWN_HOSTS))


def base_url_of(url: str) -> str:
    """`scheme://host[:port]` of an address that passed the rules."""
    # Such an address has a host and a path; the slash after the host is the first behind the eighth byte.
    return url[: url.index("/", 8)]


def _parse_origin(origin: str) -> SplitResult:
    try:
        parts = urlsplit(origin)
        usable = parts.scheme in _PORTS and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if (
        not usable
        or "@" in parts.netloc
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or _UNPRINTABLE.search(origin)
    ):
        raise UsageError(
            f"{origin!r} is not an origin",
            hint="Give scheme, host and port and nothing else, such as http://127.0.0.1:8000.",
        )
    return parts


def _same_place(one: SplitResult, other: SplitResult) -> bool:
    def position(parts: SplitResult) -> tuple[str, str | None, int | None]:
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)

    try:
        return position(one) == position(other)
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # `2130706433` and `127.1` are addresses too, for the C library.
        return host.replace(".", "").isdigit()
    return True

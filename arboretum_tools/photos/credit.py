"""The credit line that iNaturalist shows under a photo.

The forms are those of iNaturalist's own attribution strings, such as `(c) Ken-ichi Ueda, some rights
reserved (CC BY-NC)`: https://github.com/inaturalist/inaturalist, `app/models/shared/license_module.rb`.
"""

from __future__ import annotations

import html

from arboretum_metadata.vocab import LICENSES

#: What stands for the observer where the catalogue names none. The licences that ask for a name still do.
UNNAMED = "unknown observer"


def credit_line(observer_name: str | None, license_name: str | None) -> str | None:
    """The credit line of one photo, or None where its licence is not known.

    Args:
        observer_name: name or login of the observer; None or blank where it is not known.
        license_name: a name of `arboretum_metadata.vocab.LICENSES`, such as `CC-BY-NC`.
    """
    if license_name not in LICENSES:
        return None
    name = " ".join((observer_name or "").split()) or UNNAMED
    if license_name == "CC0":
        return f"{name}, no rights reserved (CC0)"
    if license_name == "PD":
        return f"{name}, no known copyright restrictions (public domain)"
    # iNaturalist writes "CC BY-NC" where the vocabulary has "CC-BY-NC".
    return f"(c) {name}, some rights reserved ({license_name.replace('-', ' ', 1)})"


def credit_html(observer_name: str | None, license_name: str | None, *, unknown: str) -> str:
    """The credit line of one photo as HTML, a link to its licence where that is known.

    Args:
        observer_name: as `credit_line` takes it.
        license_name: likewise.
        unknown: what stands where the licence is not known.
    """
    text = html.escape(credit_line(observer_name, license_name) or unknown)
    about = LICENSES.get(license_name or "")
    return text if about is None else f'<a href="{html.escape(about.url)}">{text}</a>'

"""The credit line that iNaturalist shows under a photo.

The forms are those of iNaturalist's own attribution strings, such as `(c) Ken-ichi Ueda, some rights
reserved (CC BY-NC)`: https://github.com/inaturalist/inaturalist, `app/models/shared/license_module.rb`.
"""

from __future__ import annotations

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

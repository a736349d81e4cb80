"""Whether a split keeps its promises, recomputed from its files alone.

No module here shares code with what makes splits: hashes, profiles and orders are written down a
second time, so that a defect on one side does not hide itself on the other.
"""

from arboretum_tools.split.audit.report import Audit, audit_split, summary

__all__ = ["Audit", "audit_split", "summary"]

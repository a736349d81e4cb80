"""Splits: made, audited and published."""

"""Addresses that may be asked, the one HTTP client, and the bytes that a host may be asked for."""

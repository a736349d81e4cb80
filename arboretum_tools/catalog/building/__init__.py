"""Building a catalogue: sources in, sorted parts out, every row kept or listed."""

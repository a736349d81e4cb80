"""How a catalogue lies on disk: published files, or one that was built."""

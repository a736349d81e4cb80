"""What a catalogue holds, and what is selected from it."""

"""One file per command, a folder per stage; each command parses, calls one public function, and prints."""

"""One file a command, a folder a stage; each command parses, calls one public function, and prints."""

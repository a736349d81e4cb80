"""One file a stage of the flow; each command parses, calls one public function, and prints."""

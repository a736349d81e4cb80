"""The command line: `commands` call the library with what `flags` declare; `printing` shows the result."""

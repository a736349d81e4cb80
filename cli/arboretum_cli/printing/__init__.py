"""What is printed: results, progress, errors with their exit codes, and the lines of make-split."""

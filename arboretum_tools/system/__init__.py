"""What is asked of the operating system: whole files, locks, processes and temporary folders."""

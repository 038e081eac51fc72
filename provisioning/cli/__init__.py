"""The command line: entry point, shared options, exit codes, terminal output, logs, progress."""

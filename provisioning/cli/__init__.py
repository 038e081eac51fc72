"""What every command shares: arguments, exit codes, terminal, logs, progress."""

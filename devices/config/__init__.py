"""The files that users write, scenarios and device files: schemas, defaults, and errors with file, line and key."""

"""What users write: scenario files and device files, checked, with errors that name the place."""

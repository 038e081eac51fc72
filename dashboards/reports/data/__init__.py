"""The style sheet of report and comparison."""

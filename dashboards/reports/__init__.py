"""What people read of a run: report, comparison, summary, CSV files."""

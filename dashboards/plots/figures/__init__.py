"""One function per figure: from the timeline of a run to a picture."""

"""From messages to stored rows: the recorder, its journal, its process."""

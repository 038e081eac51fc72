"""The generated parts of docs/: `python -m gridfleet.provisioning.documents` writes them again."""

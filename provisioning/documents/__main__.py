"""Write the generated parts of docs/, and the downsampling tasks: python -m gridfleet.provisioning.documents."""

import sys
from pathlib import Path

from gridfleet.provisioning.documents.pages import pages


def main(root: Path) -> int:
    """Write the pages that are not current, and print which."""
    if not (root / "docs" / "reference").is_dir():
        sys.stderr.write(f"{root}: there is no folder docs/reference; call it in GridFleet's checkout\n")
        return 2
    for page, text in pages(root):
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(root)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))

"""Write the files that Grafana reads: `python -m gridfleet.dashboards.grafana` or `make dashboards`."""

from pathlib import Path

from gridfleet.broker.readers.json_values import json_text
from gridfleet.dashboards.grafana import provisioned
from gridfleet.dashboards.grafana.alerts import rules_for_api
from gridfleet.dashboards.grafana.pages.catalog import as_json, pages


def contents() -> dict[str, str]:
    """Return every file by its path below `files/`."""
    return {
        **{f"pages/{page.uid}.json": as_json(page) for page in pages()},
        "rules.json": json_text(rules_for_api(), indent=2, ensure_ascii=False) + "\n",
        **{f"provisioning/{name}": text for name, text in provisioned.files().items()},
    }


def write(folder: Path) -> list[str]:
    """Write the files, remove others from the folder, and return the names of those that changed."""
    wanted = contents()
    changed: list[str] = []
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and str(path.relative_to(folder)) not in wanted:
            path.unlink()
            changed.append(f"{path.relative_to(folder)} (removed)")
    return changed

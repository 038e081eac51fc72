"""`gridfleet grafana write`: the shipped files, and none of the user's is lost."""

from pathlib import Path

import pytest

from gridfleet.provisioning.cli.main import main
from tests.grafana.pages import FILES


def test_the_files_are_written_and_none_that_was_changed_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "grafana"
    command = ["grafana", "write", "--folder", str(folder)]
    assert main(command) == main(command) == 0
    assert f"{folder}/pages: Grafana reads it from /etc/gridfleet/pages" in capsys.readouterr().out
    written = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    shipped = {str(path.relative_to(FILES)): path.read_bytes() for path in FILES.rglob("*") if path.is_file()}
    assert written == {name: content for name, content in shipped.items() if name != "rules.json"}

    page = folder / "pages" / "gridfleet-market.json"
    page.write_text("{}")
    (folder / "pages" / "gridfleet-device.json").unlink()
    assert main(command) == 2
    assert f"{page}: differs from the shipped file: delete it" in capsys.readouterr().err
    assert page.read_text() == "{}"
    assert not (folder / "pages" / "gridfleet-device.json").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["grafana", "write", "--folder", str(tmp_path / "file")]) == 2
    assert "cannot be used (" in capsys.readouterr().err

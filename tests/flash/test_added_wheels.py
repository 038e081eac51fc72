"""Packages with kinds of their own in a bundle: added, with what they need, and found by `device flash`."""

from pathlib import Path

import pytest

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.deploy.added_wheels import kinds_in
from gridfleet.provisioning.deploy.wheels import Platform, make_bundle
from tests.flash.conftest import wheel

ROOT = Path(__file__).parents[2]


def collect(folder: Path, _platform: Platform) -> None:
    wheel(folder, "gridfleet", "0.1.0", {"fleet_stub.py": ""})


def test_a_project_becomes_a_wheel_with_its_hash_and_its_kind(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", Platform(), collect, [ROOT / "examples" / "heat_pump"])
    bundle.verify()
    assert len(bundle.wheels) == 2
    assert kinds_in(bundle.path / name for name in bundle.wheels) == {"heat_pump"}
    plain = make_bundle(tmp_path / "plain", Platform(), collect)
    assert bundle.label != plain.label
    assert kinds_in(plain.path / name for name in plain.wheels) == set()


def test_a_wheel_is_copied_and_what_it_needs_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    kettle = wheel(tmp_path / "w", "kettle", "1.0", {"kettle.py": ""})
    bundle = make_bundle(tmp_path / "b", Platform(), collect, [kettle])
    assert kettle.name in bundle.wheels
    metadata = "Metadata-Version: 2.1\nName: pot\nRequires-Dist: Kettle>=1\nRequires-Dist: x; extra == 't'\n"
    pot = wheel(tmp_path / "w", "pot", "1", {"pot-0.dist-info/METADATA": metadata})
    with pytest.raises(
        CommandError, match=r"--add pot-1.*needs Kettle, which is not in the bundle: add its wheel"
    ):
        make_bundle(tmp_path / "c", Platform(), collect, [pot])
    make_bundle(tmp_path / "c", Platform(), collect, [pot, kettle])


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_text("text")
    with pytest.raises(
        CommandError, match=r"x.whl: is no wheel: name a .whl file, or the folder of a project"
    ):
        make_bundle(tmp_path / "b", Platform(), collect, [tmp_path / "x.whl"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match=r"empty: cannot be built"):
        make_bundle(tmp_path / "b", Platform(), collect, [tmp_path / "empty"])

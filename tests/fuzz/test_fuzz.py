"""A short, seeded part of `make fuzz`: each reader with some mutated inputs, all finds, some command lines."""

import random
from pathlib import Path

import pytest

from tests.fuzz.command_lines import try_command_lines
from tests.fuzz.engine import FINDS, fuzz, try_input
from tests.fuzz.mutation import MOST_BYTES, mutated
from tests.fuzz.targets import Target, targets

SEED = 15
INPUTS = 12
"""Times the weight of a target."""
LINES = 60
ALL = {target.name: target for target in targets()}


@pytest.mark.parametrize("target", ALL.values(), ids=ALL)
def test_a_reader_refuses_mutated_inputs_in_its_own_words(target: Target, tmp_path: Path) -> None:
    for seed in target.seeds:
        assert try_input(target, tmp_path, seed)[1] == ""
    outcome = fuzz(target, tmp_path, INPUTS * target.weight, random.Random(SEED), keep=False)
    assert outcome.problems == []
    assert outcome.tried == INPUTS * target.weight


@pytest.mark.parametrize(
    "find",
    sorted(path for path in FINDS.rglob("*") if path.is_file()),
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_what_the_fuzzer_has_found_is_refused_or_read(find: Path, tmp_path: Path) -> None:
    assert try_input(ALL[find.parent.name], tmp_path, find.read_bytes())[1] == ""


def test_command_lines_end_with_a_code_and_a_message(tmp_path: Path) -> None:
    tried, failures = try_command_lines(120, random.Random(SEED), tmp_path, LINES)
    assert (tried, failures) == (LINES, [])


def test_a_reader_that_fails_is_found(tmp_path: Path) -> None:
    def read(_: Path, content: bytes) -> None:
        int(content)

    outcome = fuzz(Target("int", lambda: (b"12",), read), tmp_path, 50, random.Random(SEED), keep=False)
    assert any(problem.startswith("ValueError") for problem in outcome.problems)


def test_mutations_follow_from_their_seed_and_have_a_bound() -> None:
    seeds = (b"a = 1\n", b"[x]\n" * 9)
    one, other = (
        [mutated(seeds[0], seeds, rng) for _ in range(200)]
        for rng in (random.Random(SEED), random.Random(SEED))
    )
    assert one == other
    assert len({*one}) > 150
    assert all(len(each) <= MOST_BYTES for each in one)

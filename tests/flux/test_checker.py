"""The checker of Flux finds errors in wrong queries, and none in correct ones."""

import pytest

from tests.flux.checker import needs_front_end, problems

RIGHT = 'from(bucket: "raw") |> range(start: -1h) |> aggregateWindow(every: 15m, fn: mean)'
CASES = {
    "right": (RIGHT, ""),
    "unknown name": (RIGHT.replace("range", "rnge"), "undefined identifier rnge"),
    "wrong type": (RIGHT.replace('"raw"', "3"), "expected string but found int"),
    "not closed": (RIGHT.replace("-1h)", "-1h"), "expected"),
    "unknown argument": (RIGHT.replace("every:", "evry:"), "evry"),
    "an option": (f'option task = {{name: "a", every: 1h}}\n{RIGHT}', ""),
    "the same option in another text": (f'option task = {{name: "b", every: 1h}}\n{RIGHT}', ""),
    "import too late": (f'x = 1\nimport "math"\n{RIGHT}', "invalid statement"),
}


@pytest.mark.node
@needs_front_end
def test_it_finds_errors_and_nothing_else() -> None:
    verdict = problems({name: text for name, (text, _) in CASES.items()})
    for name, (_, word) in CASES.items():
        found = "; ".join(verdict[name])
        assert (word in found) if word else not found, f"{name}: {found}"

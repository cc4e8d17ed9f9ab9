"""The program against the oracle, which was written from the same specification by somebody who never saw the other."""

import pytest
from oracle.compare import disagreement
from strategies import case_of

from slastream.errors import PolicyError

app = pytest.importorskip("slastream.app", reason="the program has no application layer yet")
if not hasattr(app, "replay_events"):
    pytest.skip("slastream.app.replay_events does not exist yet", allow_module_level=True)

SEEDS = 300
AT_ONCE = 20


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_clocks_and_facts_of_drawn_tickets_are_those_of_the_oracle(first: int) -> None:
    refused = 0
    for seed in range(first, first + AT_ONCE):
        try:
            text = disagreement(seed, case_of(seed), app.replay_events)
        except PolicyError:
            refused += 1
            continue
        assert text is None, "\n" + str(text)
    assert refused <= AT_ONCE // 4, f"{refused} of {AT_ONCE} drawn policies were refused"


def test_a_seed_is_one_case_for_ever() -> None:
    assert case_of(7) == case_of(7)
    assert case_of(7) != case_of(8)

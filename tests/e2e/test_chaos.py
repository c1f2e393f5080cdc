# SPDX-License-Identifier: Apache-2.0
"""Two minutes of chaos with a fixed seed; tests/soak/chaos.py goes on for longer."""
import os

import chaos
import harness as h

SEED = int(os.environ.get("BTCAST_SEED", "20261120"))
SECONDS = int(os.environ.get("BTCAST_CHAOS_S", "120"))


def test_faults_from_a_schedule_cost_no_slot_and_no_book():
    wrong = chaos.run(SEED, SECONDS)
    assert not wrong, "\n".join(wrong)


h.run_tests(globals())

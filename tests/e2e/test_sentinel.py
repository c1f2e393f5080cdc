# SPDX-License-Identifier: Apache-2.0
"""Primary, replica and three sentinels; the primary is killed under load (DESIGN.md section 10,
"Redis: failover with loss of the last writes")."""
import failover
import harness
import redis_group


def test_the_system_goes_on_when_sentinels_promote_the_replica():
    failover.run_failovers(redis_group.Sentinels(), "Sentinel")


if __name__ == "__main__":
    harness.run_tests(globals())

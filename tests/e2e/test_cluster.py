# SPDX-License-Identifier: Apache-2.0
"""Three primaries with a replica each; the owner of the symbol's slot is killed under load, and
the slot is moved away in the middle of a run (DESIGN.md section 10, "Redis")."""
import failover
import harness
import redis_group


def test_the_system_goes_on_when_the_cluster_promotes_the_replica():
    failover.run_failovers(redis_group.Cluster(), "Cluster")


if __name__ == "__main__":
    harness.run_tests(globals())

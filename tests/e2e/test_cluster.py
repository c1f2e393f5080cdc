# SPDX-License-Identifier: Apache-2.0
"""Three primaries with a replica each; the owner of the symbol's slot is killed under load, and
the slot is moved away in the middle of a run (DESIGN.md section 10, "Redis")."""
import failover
import harness
import redis_group


def move_slot(scene):
    """While keys go over one by one nothing is written to either side; then all links follow."""
    owner = scene.group.move_slot()
    took_s = scene.wait_writes(scene.seq(), "writes at the new owner")
    assert scene.group.primary() is owner
    scene.wait_slots(2)
    scene.check_nothing_lost()
    scene.check_books()
    assert scene.metric("sbe-ingestor", "redis_link_redirects_total") > 0
    print(f"slot moved: writes back {took_s:.2f} s after its last key")


def test_the_system_goes_on_when_the_cluster_promotes_the_replica():
    failover.run_failovers(redis_group.Cluster(), "Cluster", move_slot)


if __name__ == "__main__":
    harness.run_tests(globals())

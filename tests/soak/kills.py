#!/usr/bin/env python3
"""data-connector killed with SIGKILL at random moments while frames flow, the lake away for a third of
them: bronze has what one that was left alone has, every record and trade once.
usage: tests/soak/kills.py [KILLS]

SPDX-License-Identifier: Apache-2.0"""
import os
import pathlib
import sys

os.environ["BTCAST_LONG"] = "1"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
import test_bronze  # noqa: E402

if len(sys.argv) > 1:
    test_bronze.KILLS = int(sys.argv[1])
TEST = test_bronze.test_every_record_is_in_bronze_once_after_kills_and_with_the_lake_away
harness.run_tests({TEST.__name__: TEST})

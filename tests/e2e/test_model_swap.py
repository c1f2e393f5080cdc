# SPDX-License-Identifier: Apache-2.0
"""A model swapped at every slot while two replicas predict: no slot is missed, and every record is
what the model named in it gives for the vector named in it. What the registry points at and cannot
be used leaves the model in place; a shadow predicts beside the live one.

BTCAST_LONG=1 swaps for two minutes."""
import hashlib
import os
import time

import numpy as np

import harness as h
from artifacts import feature_names, linear_model
from system import LONG, SYMBOL, Up, Vectors, check_every_slot, predictions

SECONDS = 120 if LONG else 16
POINTERS = f"models:{SYMBOL}"


class Models:
    """Artifacts in Redis, and where the registry points."""

    def __init__(self, redis):
        self.redis = redis

    def put(self, artifact, sha=None):
        sha = sha or hashlib.sha256(artifact).hexdigest()
        self.redis("SET", f"model:{SYMBOL}:{sha}", artifact)
        return sha

    def point(self, role, sha):
        self.redis("HSET", POINTERS, role, sha)


def random_models(count):
    """Versions with weights that tell them apart for any vector."""
    rng = np.random.default_rng(7)
    return {f"swap-{i}": (rng.normal(size=len(feature_names())).astype(np.float32) * 0.2,
                          np.float32(10 * (i + 1))) for i in range(count)}


def check_recomputed(published, vectors, models):
    """Each record from its model_version and its vector; how many were."""
    checked = 0
    for slot, fields in published:
        vec = vectors.get((int(fields["ingest_epoch"]), int(fields["seq"])))
        if vec is None or fields["model_version"] not in models:
            continue
        weights, bias = models[fields["model_version"]]
        features = np.frombuffer(vec[1][8:], "<f4").astype(np.float64)
        expected = float(features @ weights.astype(np.float64) + float(bias))
        told = float(fields["return_bp"])
        assert abs(told - expected) < 1e-3 + 1e-5 * abs(expected), (slot, fields, expected)
        checked += 1
    return checked


def next_slot_middle():
    """Sleeps to the middle of the next slot; what it is."""
    now = time.time()
    slot = int(now // 2) + 1
    time.sleep(slot * 2 + 0.8 - now)
    return slot


def test_a_swap_at_every_slot_misses_none_and_mixes_none():
    models = random_models(2)
    up = Up("--replicas", "2", "--postgres", "none")
    up.wait_live()
    registry, vectors = Models(up.redis()), Vectors(up)
    shas = [registry.put(linear_model(v, *models[v])) for v in models]
    swaps = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        next_slot_middle()
        registry.point("production", shas[swaps % 2])
        swaps += 1
    next_slot_middle()
    published = predictions(up.redis())
    seen = vectors.stop()
    up.stop()
    slots = check_every_slot(published)
    versions = [fields["model_version"] for _, fields in published]
    changes = sum(a != b for a, b in zip(versions, versions[1:]))
    checked = check_recomputed(published, seen, models)
    print(f"{slots} slots, {swaps} swaps, {changes} changes of version in the stream, "
          f"{checked} predictions recomputed")
    assert changes >= 0.9 * swaps - 1, f"{changes} of {swaps} swaps are in the stream: {versions}"
    assert checked >= 0.9 * swaps


def test_what_cannot_be_used_leaves_the_model_in_place():
    models = random_models(2)
    names = list(models)
    up = Up("--replicas", "1", "--postgres", "none")
    up.wait_live()
    registry, redis = Models(up.redis()), up.redis()
    port = up.port("inference")

    def version():
        return h.get_json(port, "/prediction")["model_version"]

    def refused():
        return h.metric(port, "inference_models_refused_total")

    registry.point("production", registry.put(linear_model(names[0], *models[names[0]])))
    h.wait_until(lambda: version() == names[0], "the first model serves", 10)
    good = linear_model(names[1], *models[names[1]])
    bad = [registry.put(good[:-9]),                                 # truncated
           registry.put(good, sha="00" * 32),                       # another hash
           registry.put(linear_model("alien", *models[names[1]], schema="0123456789abcdef"))]
    for count, sha in enumerate(bad, 1):
        registry.point("production", sha)
        h.wait_until(lambda: refused() == count, f"bad model {count} is refused", 10)
        next_slot_middle()
        assert version() == names[0]
    aside = os.path.join(up.folder, "data", "models", "quarantine")
    assert sorted(os.listdir(aside)) == sorted(f"{sha}.onnx" for sha in bad)
    with open(os.path.join(aside, bad[0] + ".onnx"), "rb") as f:
        assert f.read() == good[:-9]
    redis("DEL", POINTERS) # lost pointers take nothing out of production
    next_slot_middle()
    assert version() == names[0]
    registry.point("production", "ab" * 32) # not there (yet)
    h.wait_until(lambda: h.metric(port, "inference_model_fetch_failures_total"), "asked for", 10)
    registry.point("production", registry.put(good))
    h.wait_until(lambda: version() == names[1], "the second model serves", 10)
    up.stop()


def test_a_shadow_predicts_beside_the_live_model_and_the_kept_one_survives_redis():
    models = random_models(2)
    live, shadow = models
    up = Up("--replicas", "2", "--postgres", "none")
    up.wait_live()
    registry, redis = Models(up.redis()), up.redis()
    vectors = Vectors(up)
    registry.point("production", registry.put(linear_model(live, *models[live])))
    registry.point("shadow", registry.put(linear_model(shadow, *models[shadow])))
    h.wait_until(lambda: redis("XLEN", f"shadow:{SYMBOL}") >= 4, "four shadow predictions", 20)
    entries = redis("XRANGE", f"shadow:{SYMBOL}", "-", "+")
    rows = [(int(i.split("-")[0]), dict(zip(f[::2], f[1::2]))) for i, f in entries]
    assert {fields["role"] for _, fields in rows} == {"shadow"}
    slots = [slot for slot, _ in rows]
    assert slots == list(range(slots[0], slots[0] + len(slots)))
    assert check_recomputed(rows, vectors.stop(), models) >= len(rows) - 1
    registry.point("shadow", "")
    h.wait_until(lambda: time.time() // 2 > slots[-1] + 4, "some slots")
    assert redis("XLEN", f"shadow:{SYMBOL}") <= len(rows) + 2
    kept = os.path.join(up.folder, "data", "models", f"{SYMBOL}-production-1.onnx")
    with open(kept, "rb") as f:
        assert f.read() == linear_model(live, *models[live])
    up.stop()


h.run_tests(globals())

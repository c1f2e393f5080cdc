# SPDX-License-Identifier: Apache-2.0
"""The learning loop closing while predictions go on: the trainer trains in the background, survives
a kill, registers what it made, and what `btcast model` says is what inference serves."""
import os
import signal
import subprocess

import harness as h
from system import SYMBOL, Up, check_every_slot, predictions


class Registry:
    """The registry of a running system, with psql and with `btcast model`."""

    def __init__(self, up):
        self.up = up
        self.data = os.path.join(up.folder, "data")
        self.url = ""

    def ready(self):
        h.wait_until(lambda: "event=ended process=db-migrate" in self.up.process.log(),
                     "the tables are there", 60)
        self.url = h.run("db", "url", "--data", self.data, env={"DATABASE_URL": ""})[1].strip()

    def ask(self, sql):
        done = subprocess.run(["psql", "-XAtq", self.url, "-c", sql], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def model(self, *words, good=True):
        status, out, err = h.run("model", *words, "--data", self.data, env={"DATABASE_URL": ""})
        assert (status == 0) == good, (words, status, out, err)
        return out + err


def trainer(up, path="/status"):
    return h.get_json(up.port("trainer"), path)


def test_the_loop_closes_while_predictions_go_on():
    up = Up("--learn", "on", "--postgres", "private", "--set", "learn_delay_s=2",
            "--set", "learn_simulated_h=2", env={"DATABASE_URL": ""})
    try:
        registry = Registry(up)
        registry.ready()
        redis = up.redis()
        # Killed while it trains, the trainer goes on where it was.
        h.wait_until(lambda: (trainer(up) or {}).get("state") == "training", "it trains", 60)
        os.kill(up.pids("trainer")[0], signal.SIGKILL)
        status = h.wait_until(lambda: (trainer(up) or {}).get("done") == 1 and trainer(up),
                              "the first training is done", 120, 0.2)
        version = registry.ask("SELECT version FROM model_registry")
        assert version in status["last_result"] and "refuses promotion" in status["last_result"]
        row = registry.ask(
            "SELECT r.stage, e.status, e.model_version = r.version, e.data_sha256 IS NOT NULL, "
            "e.training_end > e.training_start, e.hyperparameters ? 'widths', e.metrics ? 'test', "
            "jsonb_array_length(r.performance_metrics->'psi') > 0 FROM model_registry r JOIN "
            "ml_experiments e USING (experiment_id)")
        assert row == "staging|completed|t|t|t|t|t|t", row
        gold = os.path.join(up.folder, "data", "lake", "gold", "model_artifacts", version)
        assert sorted(os.listdir(gold)) == ["model.onnx", "report.html", "report.json"]
        number = registry.ask("SELECT experiment_id FROM ml_experiments WHERE status = 'completed'")
        results = os.path.join(up.folder, "data", "lake", "gold", "experiment_results", number)
        with open(os.path.join(results, "report.json"), "rb") as one, \
                open(os.path.join(gold, "report.json"), "rb") as other:
            assert one.read() == other.read()
        sha = registry.ask("SELECT artifact_sha256 FROM model_registry")
        # Its report refuses: nobody promotes it by mistake.
        registry.model("shadow", version)
        assert "its report says" in registry.model("promote", version, good=False)
        h.wait_until(lambda: redis("HGET", f"models:{SYMBOL}", "shadow") == sha, "it shadows", 30)
        h.wait_until(lambda: registry.ask(
            f"SELECT count(*) FROM predictions_log WHERE role = 'shadow' AND model_version = "
            f"'{version}' AND outcome_valid") != "0", "a shadow's outcome is known", 60, 0.3)
        judged = h.get_json(up.port("data-connector"), "/health")["components"]["models"]
        assert judged["shadow"] == version and "not yet" in judged["judgement"], judged
        # An operator may insist; then the model before goes on beside it.
        registry.model("promote", version, "--force")
        live = lambda: (h.get_json(up.port("inference"), "/prediction") or {}).get("model_version")
        before = live()
        h.wait_until(lambda: live() == version, "it serves", 30, 0.1)
        baseline = registry.ask("SELECT artifact_sha256 FROM model_registry WHERE stage_reason = 'replaced'")
        h.wait_until(lambda: redis("HGET", f"models:{SYMBOL}", "shadow") == baseline,
                     "the model before shadows", 30)
        # What vanished from Redis comes back.
        redis("DEL", f"models:{SYMBOL}", f"model:{SYMBOL}:{sha}", f"model:{SYMBOL}:{baseline}")
        h.wait_until(lambda: redis("HGET", f"models:{SYMBOL}", "production") == sha
                     and redis("EXISTS", f"model:{SYMBOL}:{sha}") == 1
                     and redis("EXISTS", f"model:{SYMBOL}:{baseline}") == 1, "asserted again", 30)
        registry.model("rollback")
        h.wait_until(lambda: live() == before, "the model before serves again", 30, 0.1)
        moves = registry.ask("SELECT string_agg(deployment_type, ' ' ORDER BY deployment_id) FROM "
                             "model_deployment_log")
        assert moves == ("register shadow register shadow promote replace promote rollback "
                         "rollback"), moves
        check_every_slot(predictions(redis))
        redis.close()
        up.stop()
    finally:
        up.process.kill()


h.run_tests(globals())

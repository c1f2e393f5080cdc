# `btcast decode` as a person uses it. SPDX-License-Identifier: Apache-2.0
import json
import os
import struct
import subprocess
import tempfile
import unittest

BTCAST = os.environ.get("BTCAST") or "build/btcast"
SBE = os.path.join(os.path.dirname(__file__), "../../../shared/data/sbe")


def decode(*args, stdin=b""):
    run = subprocess.run([BTCAST, "decode", *args], input=stdin, capture_output=True, timeout=60)
    lines = [json.loads(line) for line in run.stdout.decode().splitlines()]
    return run.returncode, lines, run.stderr.decode()


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def symbol(name=b"BTCUSDT"):
    return bytes([len(name)]) + name


def quote(event_us=1770000000123456, name=b"BTCUSDT"):
    return (struct.pack("<HHHHqqbb", 50, 10001, 1, 0, event_us, 77453519761, -8, -8)
            + struct.pack("<qqqq", 9553554000000, 150000000, 9553555000000, 5000000) + symbol(name))


def trades():
    return (struct.pack("<HHHHqqbbHI", 18, 10000, 1, 0, 1770000000123766, 1770000000123456,
                        -8, -3, 25, 1)
            + struct.pack("<qqqB", 5000000001, 9553554000000, 12345, 1) + symbol())


# The capture format, written from docs/formats.md alone.
def capture_header():
    head = b"BTCAPT1\n" + b"BTCUSDT".ljust(24, b"\0") + struct.pack("<qQ", 1770000000000000, 42)
    head = head.ljust(60, b"\0")
    return head + struct.pack("<I", crc32c(head))


def capture_record(epoch, seq, recv_us, kind, flags, payload=b""):
    head = b"BTRc" + struct.pack("<IQQqBBH", len(payload), epoch, seq, recv_us, kind, flags, 0)
    crc = crc32c(head)
    return head + struct.pack("<I", crc) + payload + struct.pack("<I", crc32c(payload, crc))


class Decode(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, data):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    def test_a_quote_has_the_schemas_names_and_exact_decimals(self):
        status, lines, _ = decode(self.file("quote", quote()))
        self.assertEqual(status, 0)
        self.assertEqual(lines, [{
            "template": "BestBidAskStreamEvent", "templateId": 10001, "schemaId": 1, "version": 0,
            "eventTime": 1770000000123456, "bookUpdateId": 77453519761,
            "priceExponent": -8, "qtyExponent": -8, "symbol": "BTCUSDT",
            "bidPrice": "95535.54000000", "bidQty": "1.50000000",
            "askPrice": "95535.55000000", "askQty": "0.05000000"}])

    def test_trades_are_objects(self):
        status, lines, _ = decode(self.file("trades", trades()))
        self.assertEqual(status, 0)
        self.assertEqual(lines[0]["transactTime"], 1770000000123456)
        self.assertEqual(lines[0]["trades"], [{"id": 5000000001, "price": "95535.54000000",
                                               "qty": "12.345", "isBuyerMaker": True}])

    def test_standard_input_with_and_without_a_dash(self):
        for args in ([], ["-"], ["--", "-"]):
            status, lines, _ = decode(*args, stdin=quote())
            self.assertEqual(status, 0)
            self.assertEqual(lines[0]["template"], "BestBidAskStreamEvent")

    def test_the_real_frames_decode_to_the_expected_values(self):
        if not os.path.isdir(SBE):
            self.skipTest("SKIPPED: the real frames are not there")
        for name in ("depthdiff_btcusdt_1", "depthsnapshot_btcusdt_1", "synthetic_trades_2"):
            status, lines, _ = decode(os.path.join(SBE, name + ".bin"))
            self.assertEqual(status, 0)
            with open(os.path.join(SBE, name + ".expected.json"), encoding="utf-8") as file:
                wanted = json.load(file)
            line = lines[0]
            for key in ("templateId", "schemaId", "version", "eventTime", "priceExponent",
                        "qtyExponent", "symbol", "bookUpdateId", "firstBookUpdateId",
                        "lastBookUpdateId", "transactTime"):
                self.assertEqual(line.get(key), wanted.get(key), key)
            for side in ("bids", "asks"):
                self.assertEqual(line.get(side, []),
                                 [level[2:] for level in wanted.get(side, [])])
            self.assertEqual(
                line.get("trades", []),
                [{"id": t["id"], "price": t["price"], "qty": t["qty"],
                  "isBuyerMaker": bool(t["isBuyerMaker"])} for t in wanted.get("trades", [])])

    def test_a_malformed_frame_says_cause_and_offset_and_the_next_one_is_still_printed(self):
        broken = bytearray(trades())
        struct.pack_into("<I", broken, 28, 3)
        status, lines, _ = decode(self.file("broken", bytes(broken)), self.file("good", quote()))
        self.assertEqual(status, 1)
        self.assertEqual(lines[0], {"error": "truncated at byte 28", "cause": "truncated",
                                    "offset": 28, "size": len(broken)})
        self.assertEqual(lines[1]["template"], "BestBidAskStreamEvent")

    def test_every_record_of_a_capture_is_a_line(self):
        document = b'{"symbol":"BTCUSDT",\n"depth":{"lastUpdateId":1,"bids":[],"asks":[]}}'
        data = (capture_header()
                + capture_record(7, 1, 1770000000000001, 1, 3, quote())
                + capture_record(7, 2, 1770000000000002, 2, 0)
                + capture_record(7, 2, 1770000000000003, 3, 0, document)
                + capture_record(7, 2, 1770000000000004, 4, 0, struct.pack("<QQ", 7, 9)))
        status, lines, _ = decode(self.file("capture", data))
        self.assertEqual(status, 0)
        self.assertEqual([line["kind"] for line in lines], ["frame", "tick", "anchor", "hole"])
        self.assertEqual(lines[0]["askQty"], "0.05000000")
        self.assertEqual((lines[0]["epoch"], lines[0]["seq"], lines[0]["recvTime"],
                          lines[0]["flags"]), (7, 1, 1770000000000001, 3))
        self.assertEqual(lines[2]["anchor"]["depth"]["lastUpdateId"], 1)
        self.assertEqual((lines[3]["nextEpoch"], lines[3]["nextSeq"]), (7, 9))

    def test_damage_in_a_capture_costs_only_the_record_it_hit(self):
        records = [capture_record(7, i, 1770000000000000 + i, 1, 0, quote()) for i in range(1, 6)]
        hit = bytearray(records[2])
        hit[50] ^= 1
        data = capture_header() + b"".join([*records[:2], bytes(hit), *records[3:]])
        status, lines, _ = decode(self.file("capture", data))
        self.assertEqual(status, 1)
        self.assertEqual([line.get("seq") for line in lines], [1, 2, None, 4, 5])
        self.assertEqual(lines[2]["offset"], 64 + 2 * len(records[0]))

    def test_a_capture_cut_by_a_crash_gives_its_whole_records(self):
        record = capture_record(7, 1, 1770000000000001, 1, 0, quote())
        status, lines, _ = decode(self.file("cut", capture_header() + record + record[:-1]))
        self.assertEqual(status, 1)
        self.assertEqual(lines[0]["seq"], 1)
        self.assertEqual(lines[1]["cause"], "the capture ends inside a record")

    def test_a_capture_larger_than_the_window_is_read_to_its_end(self):
        record = capture_record(7, 1, 1770000000000001, 1, 0, quote())
        count = 5 * 1024 * 1024 // len(record)
        status, lines, _ = decode(self.file("large", capture_header() + record * count))
        self.assertEqual(status, 0)
        self.assertEqual(len(lines), count)

    def test_a_missing_file_and_an_unknown_option(self):
        status, _, error = decode("/nonexistent/frame", self.file("quote", quote()))
        self.assertEqual(status, 1)
        self.assertIn("/nonexistent/frame: No such file", error)
        status, _, error = decode("--wrong")
        self.assertEqual(status, 2)
        self.assertIn("unknown option --wrong", error)


if __name__ == "__main__":
    unittest.main()

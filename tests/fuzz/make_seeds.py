#!/usr/bin/env python3
"""Writes the seeds of the wire fuzz targets into tests/fuzz/corpus/: small valid inputs from
which libFuzzer reaches every branch soon. Run it after a change of a format.
SPDX-License-Identifier: Apache-2.0"""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
SYMBOL = b"\x07BTCUSDT"


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def put(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def levels(count, extra=b""):
    entries = b"".join(struct.pack("<qq", 9553554000000 + i, i) + extra for i in range(count))
    return struct.pack("<HH", 16 + len(extra), count) + entries


def frames():
    times = struct.pack("<q", 1770000000123456)
    scale = struct.pack("<bb", -8, -8)
    trade = struct.pack("<qqqB", 5000000001, 9553554000000, 12345000, 1)
    quote = struct.pack("<qqqq", 9553554000000, 1, 9553555000000, 2)
    ids = struct.pack("<qq", 77, 99)
    return {
        "trades": struct.pack("<HHHH", 18, 10000, 1, 0) + times + times + scale
        + struct.pack("<HI", 25, 2) + trade * 2 + SYMBOL,
        "quote": struct.pack("<HHHH", 50, 10001, 1, 0) + times + ids[:8] + scale + quote + SYMBOL,
        "snapshot": struct.pack("<HHHH", 18, 10002, 1, 0) + times + ids[:8] + scale + levels(3)
        + levels(2) + SYMBOL,
        "diff": struct.pack("<HHHH", 26, 10003, 1, 0) + times + ids + scale + levels(9) + levels(0)
        + SYMBOL,
        "newer": struct.pack("<HHHH", 30, 10003, 1, 4) + times + ids + scale + b"more"
        + levels(5, b"xy") + levels(1) + b"\x0bA_B-C.12345" + b"tail",
        "broken_trade": struct.pack("<HHHH", 18, 10000, 1, 0) + times + times + scale
        + struct.pack("<HI", 25, 1) + trade[:24] + b"\x07" + SYMBOL,
        "null_level": struct.pack("<HHHH", 18, 10002, 1, 0) + times + ids[:8] + scale
        + struct.pack("<HHqqHH", 16, 1, -2**63, 1, 16, 0) + SYMBOL,
    }


def envelopes():
    records = b""
    for i, payload in enumerate([b"", b"abc", b"x" * 40]):
        records += struct.pack("<IIIBB", i, i * 10, len(payload), 2 if i == 0 else 1, i) + payload
    body = struct.pack("<HBBIQQq", 1, 7, 0, 3, 7, 100, 1770000000000000) + SYMBOL[1:] + records
    put("envelope", "three", b"BTEN" + struct.pack("<I", crc32c(body)) + body)
    put("envelope", "recipe", bytes([1, 4, 2, 2, 8, 0, 3, 0, 9, 4, 0, 1, 9, 16, 1, 1, 255, 0]))


def captures():
    head = (b"BTCAPT1\n" + b"BTCUSDT".ljust(24, b"\0") + struct.pack("<qQ", 1, 2)).ljust(60, b"\0")
    put("capture", "head", head + struct.pack("<I", crc32c(head)))
    data = b""
    for kind, payload in ((1, b"frame"), (2, b""), (4, b"h" * 16)):
        start = b"BTRc" + struct.pack("<IQQqBBH", len(payload), 7, kind, 1770000000000000, kind, 0, 0)
        crc = crc32c(start)
        data += start + struct.pack("<I", crc) + payload + struct.pack("<I", crc32c(payload, crc))
    put("capture", "records", data)
    put("capture", "cut", data[:-3])


DEPTH = '{"lastUpdateId":7,"bids":[["1.5","2"],["1.4","0.00000001"]],"asks":[["1.6","3",[]]]}'
TEXTS = {
    "trade": '{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":37,"p":"61837.63","q":"0.02",'
             '"T":1723161255342,"m":true,"M":true}',
    "ticker": '{"stream":"btcusdt@bookTicker","data":{"u":9,"s":"BTCUSDT","b":"1.1","B":"2","a":'
              '"1.000000000001","A":"1.5"}}',
    "diff": '{"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":1723161255343000,"s":"BTCUSDT",'
            '"U":1,"u":5,"b":[["1.5","2"]],"a":[]}}',
    "depth20": '{"stream":"btcusdt@depth20@100ms","data":' + DEPTH + '}',
    "shutdown": '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
    "reply": '{"result":null,"id":"a1"}',
    "reply_error": '{"error":{"code":2,"msg":"Invalid request"},"id":null}',
    "depth": DEPTH,
    "anchor": '{"symbol":"BTCUSDT","token":"t","cause":"start","requested_us":1,"received_us":2,'
              '"depth":' + DEPTH + '}',
    "line": "1723161253937085768 " + DEPTH + "\r\n",
    "agg_trades": '[{"a":26129,"p":"0.01","q":"4.7","f":1,"l":2,"T":1498793709153,"m":true,"M":true}]',
    "trades": '[{"id":28457,"price":"4.1","qty":"12.0","quoteQty":"48","time":1499865549590,'
              '"isBuyerMaker":false,"isBestMatch":true}]',
    "klines": '[[1499040000000,"0.01","0.8","0.015","0.0157","148.1",1499644799999,"2434.1",308,'
              '"1756.8","28.4","0"]]',
    "time": '{"serverTime":1499827319559}',
    "error": '{"code":-1003,"msg":"Way too many requests; IP banned until 1573012345678."}',
    "info": '{"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,'
            '"limit":6000},{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,'
            '"limit":61000,"x":0}],"symbols":[{"symbol":"BTCUSDT","status":"TRADING","filters":['
            '{"filterType":"PRICE_FILTER","tickSize":"0.01"},{"filterType":"LOT_SIZE","stepSize":'
            '"0.1"}]},{"symbol":"X","filters":[]}],"y":1}',
    "plain": ' [ -0.5e+10 , "\\u00e9\\n" , null , false , {} , [ [ ] ] , 12 ] ',
}


def main():
    for name, data in frames().items():
        put("sbe", name, data)
    put("sbe", "hole", b"h" * 16)
    put("sbe", "anchor", '{"symbol":\n"BTCUSDT"}')
    put("sbe", "arguments", struct.pack("<8q", 1, 2, 3, 4, 5, 6, 7, 8) + b"BTCUSDT\0\xf8\xf8"
        + bytes([200, 2, 1, 1, 0, 0]))
    put("json", "frame", frames()["quote"])
    put("json", "hole", b"h" * 16)
    put("json", "tick", b"")
    envelopes()
    captures()
    for name, text in TEXTS.items():
        put("json", name, text)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Frames of the exchange read from its published layout, without a line of btcast's: what a foreign
reader has to find again in bronze, in silver and in the store."""
import collections
import struct

Trade = collections.namedtuple("Trade", "id price quantity buyer_maker transact_us exponents")
Quote = collections.namedtuple("Quote", "bid_price bid_quantity ask_price ask_quantity update_id")
Levels = collections.namedtuple("Levels", "first_id last_id bids asks")


def template(frame):
    return struct.unpack_from("<H", frame, 2)[0]


def trades(frame):
    """Of a TradesStreamEvent (10000)."""
    _, transact_us, price_exponent, quantity_exponent, stride = struct.unpack_from("<qqbbH", frame, 8)
    count, = struct.unpack_from("<I", frame, 28)
    return [Trade(*struct.unpack_from("<qqqB", frame, 32 + stride * i), transact_us,
                  (price_exponent, quantity_exponent)) for i in range(count)]


def quote(frame):
    """Of a BestBidAskStreamEvent (10001)."""
    return Quote(*struct.unpack_from("<qqqq", frame, 26), struct.unpack_from("<q", frame, 16)[0])


def levels(frame):
    """Of a DepthDiffStreamEvent (10003) or a DepthSnapshotStreamEvent (10002)."""
    diff = template(frame) == 10003
    first, last = struct.unpack_from("<qq", frame, 16) if diff else (
        None, struct.unpack_from("<q", frame, 16)[0])
    at, sides = (34 if diff else 26), []
    for _ in range(2):
        stride, count = struct.unpack_from("<HH", frame, at)
        at += 4
        sides.append([struct.unpack_from("<qq", frame, at + stride * i) for i in range(count)])
        at += stride * count
    return Levels(first, last, *sides)

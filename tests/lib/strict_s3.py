#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small S3 in memory that is stricter than the npm one: it checks every signature with a
verifier of its own, refuses what AWS refuses, and fails on demand. One bucket, path style.

usage: strict_s3.py BUCKET KEY_ID SECRET; prints the port. POST /_faults takes a JSON list of
what happens to the next requests: a status, "close" (before doing anything), "lost" (done, but
the reply is cut off), "short" (the body ends early), "late" (answers after two seconds),
"error200" (status 200 with an error in it), "pass"; GET /_log gives what came in."""
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

BUCKET, KEY_ID, SECRET = sys.argv[1:4]
LOCK = threading.Lock()
OBJECTS, UPLOADS, FAULTS, LOG = {}, {}, [], []
PART_MIN = 64 * 1024
QUOTE = "-._~"


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def expected_signature(method, raw_path, raw_query, headers, signed, scope, amz_date):
    pairs = [p.partition("=")[::2] for p in raw_query.split("&")] if raw_query else []
    quoted = sorted((urllib.parse.quote(urllib.parse.unquote(k), safe=QUOTE),
                     urllib.parse.quote(urllib.parse.unquote(v), safe=QUOTE)) for k, v in pairs)
    canonical = "\n".join([
        method, urllib.parse.quote(urllib.parse.unquote(raw_path), safe="/" + QUOTE),
        "&".join(f"{k}={v}" for k, v in quoted),
        "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed), ";".join(signed),
        headers["x-amz-content-sha256"]])
    day, region, service, _ = scope.split("/")
    words = "\n".join(["AWS4-HMAC-SHA256", amz_date, scope,
                       hashlib.sha256(canonical.encode()).hexdigest()])
    key = mac(mac(mac(mac(("AWS4" + SECRET).encode(), day), region), service), "aws4_request")
    return hmac.new(key, words.encode(), hashlib.sha256).hexdigest()


def wrong_signature(method, raw_path, raw_query, headers, body):
    """None, or the code of what is wrong."""
    try:
        scheme, _, rest = headers["authorization"].partition(" ")
        parts = dict(p.strip().split("=", 1) for p in rest.split(","))
        key_id, scope = parts["Credential"].split("/", 1)
        signed = parts["SignedHeaders"].split(";")
        amz_date = headers["x-amz-date"]
    except (KeyError, ValueError):
        return "AccessDenied"
    if scheme != "AWS4-HMAC-SHA256" or key_id != KEY_ID:
        return "InvalidAccessKeyId"
    must = {"host"} | {n for n in headers if n.startswith("x-amz-")}
    if signed != sorted(signed) or not must <= set(signed):
        return "AccessDenied"
    if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    then = time.mktime(time.strptime(amz_date, "%Y%m%dT%H%M%SZ")) - time.timezone
    if abs(then - time.time()) > 900:
        return "RequestTimeTooSkewed"
    if expected_signature(method, raw_path, raw_query, headers, signed, scope, amz_date) != \
            parts["Signature"]:
        return "SignatureDoesNotMatch"
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # headers and body in one write
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        if isinstance(body, str):
            body = body.encode()
        short = self.fault == "short" and len(body) > 1
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2] if short else body)
        self.close_connection = self.close_connection or short

    def error(self, status, code, **headers):
        self.reply(status, f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>"
                           f"this is &quot;{code}&quot;</Message></Error>", **headers)

    def handle_one(self):
        raw_path, _, raw_query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.fault = "pass"
        if raw_path == "/_faults":
            FAULTS[:] = json.loads(body)
            return self.reply(200)
        if raw_path == "/_log":
            return self.reply(200, "\n".join(LOG) + "\n")
        LOG.append(f"{self.command} {self.path} {len(body)}")
        if FAULTS:
            self.fault = FAULTS.pop(0)
        if isinstance(self.fault, int):
            return self.error(self.fault, "SlowDown" if self.fault == 503 else "Injected")
        if self.fault == "close":
            self.close_connection = True
            return None
        if self.fault == "late":
            time.sleep(2)
        wrong = wrong_signature(self.command, raw_path, raw_query, headers, body)
        if wrong:
            return self.error(403, wrong)
        if self.command in ("PUT", "POST") and "content-length" not in headers:
            return self.error(411, "MissingContentLength")
        if self.fault == "lost":
            wfile, self.wfile = self.wfile, open("/dev/null", "wb")
            self.serve(raw_path, raw_query, headers, body)
            self.wfile = wfile
            self.close_connection = True
            return None
        return self.serve(raw_path, raw_query, headers, body)

    def serve(self, raw_path, raw_query, headers, body):
        query = dict(urllib.parse.parse_qsl(raw_query, keep_blank_values=True))
        _, bucket, key = (urllib.parse.unquote(raw_path) + "/").split("/", 2)
        key = key[:-1]
        if bucket != BUCKET:
            return self.error(404, "NoSuchBucket")
        with LOCK:
            if "uploads" in query or "uploadId" in query:
                return self.upload(key, query, body)
            if not key:
                return self.listing(query)
            return getattr(self, self.command.lower() + "_object")(key, headers, body)

    def put_object(self, key, _headers, body):
        OBJECTS[key] = (body, time.time())
        self.reply(200, ETag=f"\"{hashlib.md5(body).hexdigest()}\"")

    def delete_object(self, key, _headers, _body):
        OBJECTS.pop(key, None)
        self.reply(204)

    def get_object(self, key, headers, _body):
        if key not in OBJECTS:
            return self.error(404, "NoSuchKey")
        body = OBJECTS[key][0]
        etag = f"\"{hashlib.md5(body).hexdigest()}\""
        if headers.get("if-match", etag) != etag:
            return self.error(412, "PreconditionFailed")
        if "range" not in headers:
            return self.reply(200, body, ETag=etag)
        first, last = (int(n) for n in headers["range"].split("=")[1].split("-"))
        if first >= len(body):
            return self.error(416, "InvalidRange")
        piece = body[first:last + 1]
        return self.reply(206, piece, ETag=etag,
                          Content_Range=f"bytes {first}-{first + len(piece) - 1}/{len(body)}")

    def listing(self, query):
        keys = sorted(k for k in OBJECTS if k.startswith(query.get("prefix", "")))
        after = query.get("continuation-token", query.get("start-after", ""))
        keys = [k for k in keys if k > after]
        count = int(query.get("max-keys", "1000"))
        page, more = keys[:count], len(keys) > count
        entries = "".join(
            f"<Contents><Key>{escape(k)}</Key><LastModified>"
            f"{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(OBJECTS[k][1]))}"
            f"</LastModified><Size>{len(OBJECTS[k][0])}</Size></Contents>" for k in page)
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        self.reply(200, f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
                        f"{token}{entries}</ListBucketResult>")

    def upload(self, key, query, body):
        if "uploads" in query:
            upload = f"u{len(UPLOADS) + 1}/&+"
            UPLOADS[upload] = {}
            return self.reply(200, "<InitiateMultipartUploadResult><UploadId>"
                                   f"{escape(upload)}</UploadId></InitiateMultipartUploadResult>")
        upload = query["uploadId"]
        if upload not in UPLOADS:
            return self.error(404, "NoSuchUpload")
        if self.command == "DELETE":
            del UPLOADS[upload]
            return self.reply(204)
        if self.command == "PUT":
            UPLOADS[upload][int(query["partNumber"])] = body
            return self.reply(200, ETag=f"\"{hashlib.md5(body).hexdigest()}\"")
        parts = [UPLOADS[upload][n] for n in sorted(UPLOADS[upload])]
        named = body.decode().count("<Part>")
        tags = all(hashlib.md5(p).hexdigest() in body.decode() for p in parts)
        if self.fault == "error200":
            return self.reply(200, "<Error><Code>InternalError</Code></Error>")
        if named != len(parts) or not tags or any(len(p) < PART_MIN for p in parts[:-1]):
            return self.error(400, "InvalidPart")
        OBJECTS[key] = (b"".join(parts), time.time())
        del UPLOADS[upload]
        return self.reply(200, "<CompleteMultipartUploadResult/>")

    do_GET = do_PUT = do_POST = do_DELETE = handle_one


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()

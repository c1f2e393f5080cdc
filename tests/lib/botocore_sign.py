# SPDX-License-Identifier: Apache-2.0
"""Signs requests with botocore for comparison: lines of METHOD, URL, SHA-256 of the payload, time,
token ('-': none), separated by tabs, in; the Authorization header of each out. Exit status 77
without botocore."""
import datetime
import sys

try:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    sys.exit(77)


class FixedTime(datetime.datetime):
    value = None

    @classmethod
    def utcnow(cls):
        return cls.value


botocore.auth.datetime.datetime = FixedTime
for line in sys.stdin:
    method, url, payload, stamp, token = line.rstrip("\n").split("\t")
    FixedTime.value = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ")
    keys = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                       None if token == "-" else token)
    request = AWSRequest(method=method, url=url, headers={"X-Amz-Content-SHA256": payload})
    auth = botocore.auth.S3SigV4Auth(keys, "s3", "eu-central-1")
    auth.payload = lambda _request, value=payload: value
    auth.add_auth(request)
    print(request.headers["Authorization"])

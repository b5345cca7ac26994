"""The role that everything runs under here, known to the emulator's IAM.

SDK v3 simulates the policy of the role it is given before it compiles or upserts, and refuses one
that IAM does not know or that lacks a permission. Here the role may do everything, since nothing
is checked.
"""

import http.client
import json
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from ci.errors import LocalError

NAME = "sagemaker-gitops-local"
_SERVICES = ("sagemaker", "lambda", "events", "scheduler", "codebuild")
_SECONDS = 30.0


def make_role(emulator: str, region: str) -> None:
    """Make the role, or find it made. LocalError where the emulator refuses."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": [f"{name}.amazonaws.com" for name in _SERVICES]},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    _ask(
        emulator,
        region,
        {"Action": "CreateRole", "AssumeRolePolicyDocument": json.dumps(trust)},
        fine=b"EntityAlreadyExists",
    )
    policy = {"PolicyName": "everything", "PolicyDocument": json.dumps(everything)}
    _ask(emulator, region, {"Action": "PutRolePolicy", **policy})


def _ask(
    emulator: str, region: str, query: Mapping[str, str], *, fine: bytes | None = None
) -> None:
    """One call of IAM's query protocol: two of them are no reason to load botocore's IAM model."""
    address = urlsplit(emulator)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=_SECONDS)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": "AWS4-HMAC-SHA256 "
        f"Credential=local/20000101/{region}/iam/aws4_request, SignedHeaders=host, Signature=none",
    }
    body = urlencode({"Version": "2010-05-08", "RoleName": NAME, **query})
    try:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != 200 and not (fine and fine in text):
        raise LocalError(
            "The emulator did not make the local role",
            where=NAME,
            why=text.decode(errors="replace")[:500],
        )

"""Credentials that outlive the hour: GitHub's identity token is fetched anew, the role assumed."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ci.errors import AwsError
from ci.sagemaker.clients import open_clients
from ci.sagemaker.credentials import WebIdentity, find_web_identity, job_environment
from ci.sagemaker.retry import lacks_credentials
from ci.sagemaker.translate import translated

ROLE = "arn:aws:iam::000000000000:role/ci"


class Cloud:
    """GitHub's token door, STS and SageMaker in one: each token once, keys that expire."""

    def __init__(self) -> None:
        self.lifetime = 3600.0
        self.tokens = 0
        self.assumed: list[str] = []
        self.keys: list[str] = []
        self.refuse_tokens = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def environ(self) -> dict[str, str]:
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.address}/token?api-version=2",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-secret",
            "AWS_ROLE_TO_ASSUME": ROLE,
            "GITHUB_RUN_ID": "77",
        }

    def sts(self, form: dict[str, list[str]]) -> bytes:
        self.assumed.append(form["WebIdentityToken"][0])
        assert form["RoleArn"] == [ROLE]
        assert form["RoleSessionName"] == ["sagemaker-gitops-77"]
        ends = datetime.now(UTC) + timedelta(seconds=self.lifetime)
        return (
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>KEY{len(self.assumed)}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
            f"<SessionToken>t</SessionToken><Expiration>{ends.isoformat()}</Expiration>"
            "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ).encode()

    def _handler(cloud) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has its self
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                good = self.headers["Authorization"] == "bearer runner-secret"
                if cloud.refuse_tokens or not good or query["audience"] != ["sts.amazonaws.com"]:
                    return self.answer(403, b"{}", "application/json")
                cloud.tokens += 1
                body = json.dumps({"value": f"token-{cloud.tokens}"}).encode()
                return self.answer(200, body, "application/json")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if "X-Amz-Target" not in self.headers:
                    return self.answer(200, cloud.sts(parse_qs(body)), "text/xml")
                key = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
                cloud.keys.append(key)
                listing = b'{"PipelineSummaries": []}'
                return self.answer(200, listing, "application/x-amz-json-1.1")

            def answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                return

        return Handler


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    found = Cloud()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_keys_are_renewed_before_they_expire(cloud: Cloud) -> None:
    clients = open_clients("us-east-1", cloud.environ(), endpoint=cloud.address)
    cloud.lifetime = 5.0  # within botocore's ten minutes before the end: each call renews
    for _ in range(3):
        clients.call("sagemaker", "ListPipelines", {})
    cloud.lifetime = 3600.0
    for _ in range(3):
        clients.call("sagemaker", "ListPipelines", {})
    assert cloud.keys[0] != cloud.keys[-1]
    assert cloud.keys[-1] == cloud.keys[-2]
    assert len(set(cloud.assumed)) == len(cloud.assumed) == cloud.tokens >= 3


_GIVER = """
import datetime, json, pathlib, sys
counted = pathlib.Path(sys.argv[1])
counted.open("a").write("x")
ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)
print(json.dumps({"Version": 1, "AccessKeyId": f"KEY{len(counted.read_text())}",
    "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ends.isoformat()}))
"""

_CALLER = """
import os
from ci.sagemaker.clients import open_clients
clients = open_clients("us-east-1", os.environ)
for _ in range(2):
    clients.call("sagemaker", "ListPipelines", {})
"""


def test_keys_of_a_profile_are_renewed_before_they_expire(cloud: Cloud, tmp_path: Path) -> None:
    giver, config = tmp_path / "giver.py", tmp_path / "config"
    giver.write_text(_GIVER)
    command = f"{sys.executable} {giver} {tmp_path / 'counted'}"
    config.write_text(f"[profile ml]\nregion = us-east-1\ncredential_process = {command}\n")
    environ = {
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": "ml",
        "AWS_ENDPOINT_URL": cloud.address,
        "PATH": os.environ["PATH"],
    }
    subprocess.run([sys.executable, "-c", _CALLER], env=environ, check=True)
    assert len(cloud.keys) == 2
    assert cloud.keys[0] != cloud.keys[1]


def test_a_role_that_may_be_assumed_no_more_is_want_of_credentials() -> None:
    """As botocore finds it, in the middle of another call."""
    from botocore.exceptions import ClientError

    told = {
        "Error": {"Code": "AccessDenied", "Message": "not authorized to perform: sts:AssumeRole"}
    }
    with (
        pytest.raises(AwsError) as caught,
        translated("sagemaker", "DescribePipelineExecution", "arn"),
    ):
        raise ClientError(told, "AssumeRole")
    assert caught.value.operation == "AssumeRole"
    assert lacks_credentials(caught.value)
    with pytest.raises(AwsError) as caught, translated("sagemaker", "DescribePipelineExecution"):
        raise ClientError(told, "DescribePipelineExecution")
    assert not lacks_credentials(caught.value)


def test_a_door_that_closes_is_told(cloud: Cloud) -> None:
    cloud.refuse_tokens = True
    clients = open_clients("us-east-1", cloud.environ(), endpoint=cloud.address)
    with pytest.raises(AwsError) as caught:
        clients.call("sagemaker", "ListPipelines", {})
    assert caught.value.code == "CredentialRetrievalError"
    assert "id-token: write" in (caught.value.fix or "")
    assert "runner-secret" not in str(caught.value)


def test_where_there_is_a_door() -> None:
    full = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://x",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret",
        "AWS_ROLE_ARN": ROLE,
    }
    found = find_web_identity(full)
    assert isinstance(found, WebIdentity)
    assert "secret" not in repr(found)
    for name in full:
        assert find_web_identity({key: full[key] for key in full if key != name}) is None
    # botocore renews from a token file by itself.
    assert find_web_identity({**full, "AWS_WEB_IDENTITY_TOKEN_FILE": "/x"}) is None


def test_nothing_is_called_or_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from ci.sagemaker.clients import open_clients; open_clients('x', {});"
        "print([m for m in ('boto3', 'botocore', 'requests', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def identity_token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@pytest.mark.parametrize(
    ("claims", "name"),
    [({"environment": "prod-€u"}, "prod-€u"), ({"sub": "x"}, None), ([], None)],
)
def test_the_identity_token_tells_the_job_s_environment(claims: object, name: str | None) -> None:
    door = WebIdentity(request_url="x", request_token="t", role=ROLE, session_name="s")
    assert job_environment(door, fetch_token=lambda _: identity_token(claims)) == name


@pytest.mark.parametrize("token", ["", "token-1", "e30.%%%.x", "e30.e"])
def test_an_identity_token_that_is_none_is_told(token: str) -> None:
    door = WebIdentity(request_url="x", request_token="t", role=ROLE, session_name="s")
    with pytest.raises(AwsError, match="no identity token"):
        job_environment(door, fetch_token=lambda _: token)

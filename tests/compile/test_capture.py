"""What the capture endpoint answers real boto3 clients, seen from inside a compile."""

import hashlib
import io
import json
import os
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.compiling import ACCOUNT, BUCKET, PREFIX, make_target

from ci.compile.bundle import Bundle
from ci.compile.capture import decode_aws_chunked
from ci.compile.compile import compile_pipeline
from ci.errors import CompileError

MODULE = """
import boto3, io, json, zipfile
from botocore.exceptions import ClientError

class Pipeline:
    def __init__(self, value):
        self.value = value

    def definition(self):
        return json.dumps({"Version": "2020-12-01", "Steps": self.value})

def zipped(text, moment=(1999, 1, 1, 0, 0, 0)):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("index.py", moment), text)
    return out.getvalue()

def get_pipeline(region, role, default_bucket):
    s3 = boto3.client("s3")
"""

Compile = Callable[[str], Bundle]
HOST = "s3.eu-west-1.amazonaws.com"


@pytest.fixture
def compiled(tmp_path: Path) -> Compile:
    def run(code: str) -> Bundle:
        source = tmp_path / "pipeline.py"
        source.write_text(MODULE + textwrap.indent(textwrap.dedent(code), "    "))
        return compile_pipeline(make_target(source), environ=os.environ, root=tmp_path)

    return run


def steps_of(bundle: Bundle) -> object:
    return json.loads(bundle.definition)["Steps"]


def test_uploads_become_content_addressed(compiled: Compile) -> None:
    bundle = compiled(
        """
        s3.put_object(Bucket=default_bucket, Key="code/2024-01-01/a b+c.py", Body=b"print(1)")
        return Pipeline([f"s3://{default_bucket}/code/2024-01-01/a b+c.py", default_bucket])
        """
    )
    sha = hashlib.sha256(b"print(1)").hexdigest()
    key = f"{PREFIX}/{sha}/a b+c.py"
    assert steps_of(bundle) == [f"s3://{BUCKET}/{key}", BUCKET]
    artifact = bundle.artifacts[key]
    assert (artifact.sha256, artifact.size, artifact.name) == (sha, 8, "a b+c.py")
    assert artifact.path.read_bytes() == b"print(1)"
    assert artifact.location("ignored") == key


def test_what_was_put_can_be_read_back(compiled: Compile) -> None:
    bundle = compiled(
        """
        body = bytes(range(256)) * 100
        s3.put_object(Bucket=default_bucket, Key="x/one", Body=body)
        s3.upload_fileobj(io.BytesIO(body), default_bucket, "x/two ü")
        s3.copy_object(Bucket=default_bucket, Key="x/three",
                       CopySource={"Bucket": default_bucket, "Key": "x/one"})
        got = s3.get_object(Bucket=default_bucket, Key="x/two ü")["Body"].read()
        part = s3.get_object(Bucket=default_bucket, Key="x/one", Range="bytes=1-3")["Body"].read()
        head = s3.head_object(Bucket=default_bucket, Key="x/three")["ContentLength"]
        out = io.BytesIO(); s3.download_fileobj(default_bucket, "x/one", out)
        s3.head_bucket(Bucket=default_bucket)
        s3.create_bucket(Bucket="another-bucket")
        where = s3.get_bucket_location(Bucket=default_bucket)["LocationConstraint"]
        listed = [o["Key"] for o in s3.list_objects_v2(Bucket=default_bucket)["Contents"]]
        s3.delete_object(Bucket=default_bucket, Key="x/one")
        left = s3.list_objects_v2(Bucket=default_bucket, Prefix="x/o")["KeyCount"]
        buckets = [b["Name"] for b in s3.list_buckets()["Buckets"]]
        return Pipeline([got == body, list(part), head, out.getvalue() == body, where,
                         sorted(listed), left, buckets])
        """
    )
    keys = ["x/one", "x/three", "x/two ü"]
    assert steps_of(bundle) == [True, [1, 2, 3], 25600, True, None, keys, 0, [BUCKET]]


def test_large_files_come_in_parts(compiled: Compile) -> None:
    bundle = compiled(
        """
        s3.upload_fileobj(io.BytesIO(b"0123456789abcdef" * (1 << 20)), default_bucket, "big.bin")
        return Pipeline([f"s3://{default_bucket}/big.bin"])
        """
    )
    (artifact,) = bundle.artifacts.values()
    expected = hashlib.sha256(b"0123456789abcdef" * (1 << 20)).hexdigest()
    assert (artifact.size, artifact.sha256) == (16 << 20, expected)


def test_uploads_do_not_wait_for_each_other(compiled: Compile) -> None:
    """A client that asks for `100 Continue` in vain waits a second for every upload."""
    bundle = compiled(
        """
        import time
        start = time.monotonic()
        for number in range(20):
            s3.put_object(Bucket=default_bucket, Key=str(number), Body=b"x" * 100000)
        return Pipeline([time.monotonic() - start])
        """
    )
    assert steps_of(bundle)[0] < 10  # type: ignore[index]


def test_the_caller_is_the_targets_role(compiled: Compile) -> None:
    bundle = compiled(
        """
        me = boto3.client("sts").get_caller_identity()
        found = boto3.client("iam").get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]["Arn"]
        return Pipeline([me["Account"], me["Arn"], found == role])
        """
    )
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/sagemaker-gitops-local/sagemaker-gitops"
    assert steps_of(bundle) == [ACCOUNT, arn, True]


def test_functions_are_captured_with_code_of_one_spelling(compiled: Compile) -> None:
    code = """
        functions = boto3.client("lambda")
        arguments = dict(FunctionName="deploy", Runtime="python3.12", Role=role, Timeout=60,
                         Handler="index.handler", Code={"ZipFile": zipped("x = 1", MOMENT)})
        arn = functions.create_function(**arguments)["FunctionArn"]
        try:
            functions.create_function(**arguments)
        except functions.exceptions.ResourceConflictException:
            functions.update_function_code(FunctionName=arn, ZipFile=zipped("x = 2", MOMENT))
        functions.update_function_configuration(FunctionName="deploy", Timeout=90)
        state = functions.get_function(FunctionName="deploy")["Configuration"]["State"]
        return Pipeline([arn, state])
        """
    first = compiled(code.replace("MOMENT", "(1999, 1, 1, 0, 0, 0)"))
    second = compiled(code.replace("MOMENT", "(2020, 5, 6, 7, 8, 10)"))
    (function,) = first.functions
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:deploy"
    assert steps_of(first) == [arn, "Active"]
    assert (function.name, function.arn) == ("deploy", arn)
    assert function.configuration["Timeout"] == 90
    assert not {"Code", "FunctionName", "ZipFile"} & set(function.configuration)
    with zipfile.ZipFile(first.code_of(function).path) as archive:
        assert archive.read("index.py") == b"x = 2"
    assert first.digest == second.digest
    assert compiled(code.replace("MOMENT", "(1999, 1, 1, 0, 0, 0)").replace("90", "9")).digest != (
        first.digest
    )


def test_a_functions_code_may_go_through_s3(compiled: Compile) -> None:
    bundle = compiled(
        """
        s3.upload_fileobj(io.BytesIO(zipped("y")), default_bucket, "lambda/deploy/code.zip")
        boto3.client("lambda").create_function(
            FunctionName="deploy", Runtime="python3.12", Role=role, Handler="index.handler",
            Code={"S3Bucket": default_bucket, "S3Key": "lambda/deploy/code.zip"})
        return Pipeline([])
        """
    )
    (function,) = bundle.functions
    assert list(bundle.artifacts) == [f"{PREFIX}/{function.sha256}/deploy.zip"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("boto3.client('dynamodb').get_item(TableName='t', Key={})", "dynamodb:GetItem"),
        ("boto3.client('ssm').get_parameter(Name='/x')", "ssm:GetParameter"),
        ("boto3.client('secretsmanager').get_secret_value(SecretId='x')",
         "secretsmanager:GetSecretValue"),
        ("s3.get_object(Bucket='data', Key='stats.json')", "s3:GetObject s3://data/stats.json"),
        ("boto3.client('iam').get_role(RoleName='other')", "iam:GetRole"),
        ("boto3.client('sts').assume_role(RoleArn=role, RoleSessionName='xy')", "sts:AssumeRole"),
        ("boto3.client('sagemaker').list_model_packages()", "sagemaker:ListModelPackages"),
        ("boto3.client('lambda').list_functions()", "lambda:GET /2015-03-31/functions"),
        ("boto3.client('lambda').get_function(FunctionName='x')", "lambda:GET x"),
        ("boto3.client('ecr').describe_images(repositoryName='aa')", "ecr:DescribeImages"),
        (f"boto3.client('s3', endpoint_url='https://{HOST}').list_buckets()",
         f"a connection to {HOST}"),
    ],
)  # fmt: skip
def test_what_reads_aws_is_refused_by_name_with_the_way_out(
    compiled: Compile, call: str, told: str
) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(call)
    assert f"the module wanted {told}." in caught.value.what
    assert "compile: live" in str(caught.value.fix)
    assert str(caught.value.where).startswith("pipeline.py:")


def test_a_module_that_deploys_by_itself_is_told_to_leave_it(compiled: Compile) -> None:
    with pytest.raises(CompileError, match="sagemaker:CreatePipeline") as caught:
        compiled(
            """
            boto3.client("sagemaker").create_pipeline(
                PipelineName="x", PipelineDefinition="{}", ClientRequestToken="0" * 32,
                RoleArn=role)
            """
        )
    assert "leave upsert() and start()" in str(caught.value.fix)


def test_a_refusal_that_the_module_lives_with_is_no_error(compiled: Compile) -> None:
    bundle = compiled(
        """
        try:
            boto3.client("sagemaker").describe_model_package_group(ModelPackageGroupName="x")
        except ClientError as error:
            return Pipeline([error.response["Error"]["Code"]])
        """
    )
    assert steps_of(bundle) == ["ValidationException"]


def test_files_that_the_definition_does_not_name_keep_their_key(compiled: Compile) -> None:
    code = """
        s3.put_object(Bucket=BUCKET, Key="config/settings.json", Body=b"{}")
        return Pipeline([])
        """
    bundle = compiled(code.replace("BUCKET", "default_bucket"))
    assert list(bundle.artifacts) == ["config/settings.json"]
    with pytest.raises(CompileError, match="not the project's") as caught:
        compiled(code.replace("BUCKET", "'elsewhere'"))
    assert caught.value.where == "s3://elsewhere/config/settings.json"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_aws_chunked_bodies_are_decoded(chunks: list[bytes]) -> None:
    encoded = io.BytesIO()
    for chunk in chunks:
        encoded.write(b"%x;chunk-signature=abc\r\n%b\r\n" % (len(chunk), chunk))
    encoded.write(b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")
    assert decode_aws_chunked(encoded.getvalue()) == b"".join(chunks)

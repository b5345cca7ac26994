"""The artifact bucket: private, encrypted, reached by TLS alone, kept when its stack goes."""

from ci.bootstrap.documents import VERSION
from ci.bootstrap.model import Setup
from ci.bootstrap.parts import key_condition, key_parameter, shared_parameters, tags
from ci.bootstrap.policies import HAS_KEY
from ci.bootstrap.template import (
    GetAtt,
    If,
    Output,
    Parameter,
    Ref,
    Resource,
    Sub,
    Template,
)

NAME = "artifacts"
_BUCKET = "ArtifactBucket"


def artifacts_template(setup: Setup) -> Template:
    return Template(
        name=NAME,
        description="sagemaker-gitops: the bucket of artifacts",
        parameters={
            **shared_parameters(setup, "Name", "Bucket"),
            "PullRequestPrefix": Parameter(
                description="Where pull requests' executions write; expires after"
                " PullRequestDays. Bundles are kept: pull requests share their files",
                default="pull-requests/",
            ),
            "PullRequestDays": Parameter(
                description="Days until what pull requests wrote is deleted",
                default=30,
                kind="Number",
            ),
            **key_parameter(),
        },
        conditions=key_condition(),
        resources={_BUCKET: _bucket(), "ArtifactBucketPolicy": _policy()},
        outputs={"Bucket": Output(value=Ref(_BUCKET), description="artifacts: bucket:")},
    )


def _bucket() -> Resource:
    encryption = {
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": If(HAS_KEY, "aws:kms", "AES256"),
            "KMSMasterKeyID": If(HAS_KEY, Ref("KmsKey")),
        },
        "BucketKeyEnabled": If(HAS_KEY, True),
    }
    return Resource(
        kind="AWS::S3::Bucket",
        keep=True,
        properties={
            "BucketName": Ref("Bucket"),
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "VersioningConfiguration": {"Status": "Enabled"},
            "LifecycleConfiguration": {"Rules": _rules()},
            "Tags": tags(),
        },
    )


def _rules() -> list[dict[str, object]]:
    return [
        {
            "Id": "uploads-that-broke-off",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {
            "Id": "old-versions",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
        },
        {
            "Id": "pull-requests",
            "Status": "Enabled",
            "Prefix": Ref("PullRequestPrefix"),
            "ExpirationInDays": Ref("PullRequestDays"),
        },
    ]


def _policy() -> Resource:
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [GetAtt(_BUCKET, "Arn"), Sub(f"${{{_BUCKET}.Arn}}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return Resource(
        kind="AWS::S3::BucketPolicy",
        properties={
            "Bucket": Ref(_BUCKET),
            "PolicyDocument": {"Version": VERSION, "Statement": [statement]},
        },
    )

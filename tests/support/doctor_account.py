"""An account in the emulator with roles that `doctor` looks at."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ci.bootstrap.documents import policy_document
from ci.bootstrap.policies import statements_of
from ci.bootstrap.resources import fill_resource
from ci.bootstrap.scope import plan_setup
from ci.doctor.model import Site
from ci.project.load import load_project
from ci.sagemaker.clients import open_clients
from support.doctoring import repository, site
from support.endpoint import client, running_endpoint
from support.github_job import aws_environ


class Account:
    """The emulator's IAM: roles with and without what is needed."""

    def __init__(self, folder: Path, address: str) -> None:
        self.scratch = repository(folder)
        self.address = address
        self.iam = client(address, "iam")
        client(address, "s3").create_bucket(Bucket="acme-artifacts")

    def role(self, name: str, *, without: str = "", trusts: str = "sagemaker") -> None:
        setup = plan_setup(
            load_project(self.scratch.root / "sagemaker-gitops.yaml"),
            repository="acme/mlops",
            default_branch="main",
        )
        need = next(each for each in setup.roles if each.environment == "main")
        made = [
            replace(each, actions=tuple(name for name in each.actions if name != without))
            for each in statements_of(need)
            if each.when is None
        ]
        policy = policy_document([each for each in made if each.actions])
        for statement in policy["Statement"]:  # type: ignore[attr-defined]
            # The emulator's simulator takes no context.
            statement.pop("Condition", None)
            statement["Resource"] = [
                fill_resource(
                    getattr(each, "text", each),
                    account="000000000000",
                    region="us-east-1",
                    bucket="acme-artifacts",
                    prefix="sagemaker-gitops",
                    queue="mlops-events",
                )
                for each in statement["Resource"]
            ]
        service = {"Service": f"{trusts}.amazonaws.com"}
        trust = {"Statement": [{"Effect": "Allow", "Principal": service}]}
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))

    def assumed(self, name: str) -> dict[str, str]:
        """The environment of a job that assumed the role."""
        found = client(self.address, "sts").assume_role(
            RoleArn=f"arn:aws:iam::000000000000:role/{name}", RoleSessionName="job"
        )["Credentials"]
        return {
            **aws_environ(self.address),
            "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"],
        }

    def site(self, caller: str, /, **more: Any) -> Site:
        clients = open_clients("us-east-1", self.assumed(caller))
        return site(self.scratch, **{"clients": clients, **more})


@contextmanager
def open_account(folder: Path) -> Iterator[Account]:
    """With the role `whole`, which may do all that main's commands call."""
    with running_endpoint(folder / "local") as endpoint:
        made = Account(folder, endpoint.address)
        made.role("whole")
        yield made

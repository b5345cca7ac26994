"""The adapter as the core sees it: one object, a part for each kind of resource."""

from functools import cached_property
from typing import TYPE_CHECKING

from ci.sagemaker.artifacts import Artifacts
from ci.sagemaker.clients import Clients
from ci.sagemaker.functions import Functions
from ci.sagemaker.pipelines import Pipelines

if TYPE_CHECKING:
    from ci.sagemaker.executions import Executions
    from ci.sagemaker.jobs import Jobs
    from ci.sagemaker.logs import Logs
    from ci.sagemaker.packages import Packages
    from ci.sagemaker.queue import Queue
    from ci.sagemaker.removal import Removal


class SageMaker:
    """Every call raises AwsError and nothing else. Parts that a plan has no use for are imported
    with their first use."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.artifacts = Artifacts(clients)
        self.pipelines = Pipelines(clients, self.artifacts)
        self.functions = Functions(clients)

    @cached_property
    def executions(self) -> "Executions":
        from ci.sagemaker.executions import Executions

        return Executions(self.clients)

    @cached_property
    def jobs(self) -> "Jobs":
        from ci.sagemaker.jobs import Jobs

        return Jobs(self.clients)

    @cached_property
    def packages(self) -> "Packages":
        from ci.sagemaker.packages import Packages

        return Packages(self.clients)

    @cached_property
    def logs(self) -> "Logs":
        from ci.sagemaker.logs import Logs

        return Logs(self.clients)

    @cached_property
    def removal(self) -> "Removal":
        from ci.sagemaker.removal import Removal

        return Removal(self.clients)

    def queue(self, url: str) -> "Queue":
        from ci.sagemaker.queue import Queue

        return Queue(self.clients, url)

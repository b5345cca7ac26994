"""The adapter as the core sees it: one object, a part for each kind of resource."""

from ci.sagemaker.artifacts import Artifacts
from ci.sagemaker.clients import Clients
from ci.sagemaker.executions import Executions
from ci.sagemaker.functions import Functions
from ci.sagemaker.jobs import Jobs
from ci.sagemaker.logs import Logs
from ci.sagemaker.packages import Packages
from ci.sagemaker.pipelines import Pipelines
from ci.sagemaker.queue import Queue
from ci.sagemaker.removal import Removal


class SageMaker:
    """Every call raises AwsError and nothing else."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.artifacts = Artifacts(clients)
        self.pipelines = Pipelines(clients, self.artifacts)
        self.executions = Executions(clients)
        self.jobs = Jobs(clients)
        self.packages = Packages(clients)
        self.functions = Functions(clients)
        self.logs = Logs(clients)
        self.removal = Removal(clients)

    def queue(self, url: str) -> Queue:
        return Queue(self.clients, url)

"""What executions are followed with: the history of their pipelines, a queue, logs."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ci.execution.events import EventStream
from ci.execution.find import learn_histories
from ci.execution.follow import Means
from ci.execution.tails import LogTails
from ci.report.driver import leave_out_driver
from ci.sagemaker.adapter import SageMaker
from ci.sagemaker.arn import pipeline_of
from ci.sagemaker.logs import Logs


@contextmanager
def open_means(
    adapter: SageMaker,
    arns: Collection[str],
    *,
    queue: str | None,
    show_lines: Callable[[str, Sequence[str]], None] | None,
    clock: Callable[[], float],
) -> Iterator[Means]:
    """`queue` is the URL of one that EventBridge sends to; `show_lines` is handed what running
    steps log, but for SageMaker's own lines. With a queue nothing is learned: looks only make
    sure."""
    with ExitStack() as stack:
        events = None
        if queue is not None:
            events = stack.enter_context(EventStream(adapter.queue(queue), arns))
        tails = None
        if show_lines is not None:
            show = show_lines

            def show_own(step: str, lines: Sequence[str]) -> None:
                show(step, leave_out_driver(lines))

            tails = LogTails(Logs(adapter.clients.once).advance, show_own, clock=clock)
        names = set() if events else {pipeline_of(arn) for arn in arns}
        yield Means(
            histories=learn_histories(adapter.executions, names), events=events, tails=tails
        )

"""`prices`: the file that cost estimates are made from, read from AWS's price list."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ci.cli.options import (
    add_pipeline_options,
    add_place_options,
    settle_pipelines,
    settle_session,
)
from ci.cli.shell import Shell
from ci.errors import AwsError, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ci.cost.listing import Listing, Wanted
    from ci.cost.model import Prices
    from ci.session.job import Job
    from ci.session.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pipeline_options(parser)
    add_place_options(parser)
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="the JSON file that `report.prices` names; what it holds already is asked again",
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from datetime import UTC, datetime

    from ci.cost.listing import price_file
    from ci.session.preparing import prepare_jobs
    from ci.session.session import parse_overrides
    from ci.session.writing import write_whole

    if arguments.local:
        raise UsageError("prices are AWS's: there are none on the local endpoint")
    out = shell.cwd / arguments.out
    before = _before(out)
    session = settle_session(arguments, shell, anywhere=True)
    names = settle_pipelines(arguments, session.project)
    overrides = parse_overrides(arguments.parameter)
    shell.say(f"Compiling {', '.join(names)} for {session.environment}")
    wanted = _wanted(prepare_jobs(session, names, overrides))
    _refuse_unlisted(wanted)
    listings = _listings(session, _with_those_before(wanted, before))
    for region, listing in listings.items():
        for line in listing.missing:
            shell.warn(f"warning: {region}: {line}")
    if not any(listing.hourly for listing in listings.values()):
        raise AwsError(
            "no price was found, and nothing was written",
            code="NoPrices",
            operation="GetProducts",
            why="no step runs on instances, or the price list is not as this version reads it",
            fix="Write the file by hand: docs/report.md, Cost",
        )
    today = datetime.fromtimestamp(shell.clock(), UTC).date()
    write_whole(out, price_file(listings, as_of=today, before=before), what="the prices")
    found = sum(len(listing.hourly) for listing in listings.values())
    shell.show(f"{out}: {found} prices as of {today}")
    missing = {region: list(listing.missing) for region, listing in listings.items()}
    shell.emit({"file": str(out), "prices": found, "missing": missing})
    return int(ExitCode.OK)


def _wanted(jobs: "tuple[Job, ...]") -> "Mapping[str, frozenset[Wanted]]":
    """By region."""
    from ci.cost.listing import wanted_instances

    found: dict[str, frozenset[Wanted]] = {}
    for job in jobs:
        region = job.target.region
        wanted = wanted_instances(job.definition, job.identity.parameters)
        found[region] = found.get(region, frozenset()) | wanted
    return found


def _before(file: Path) -> "Prices | None":
    """What the file has; None where there is none. ProjectError where it is no file of prices."""
    from ci.delivery.costs import read_prices

    return read_prices(file) if file.exists() else None


def _refuse_unlisted(regions: "Collection[str]") -> None:
    from ci.sagemaker.pricing import is_listed

    unlisted = sorted(region for region in regions if not is_listed(region))
    if unlisted:
        raise UsageError(
            f"prices for {', '.join(unlisted)} are not read from AWS's price list",
            why="it takes credentials of commercial regions alone, and China's is in CNY, not USD",
            fix="Write the file by hand (docs/report.md, Cost), or name pipelines of other regions",
        )


def _with_those_before(
    wanted: "Mapping[str, frozenset[Wanted]]", before: "Prices | None"
) -> "Mapping[str, frozenset[Wanted]]":
    """A file says one day for all of its prices, so all are asked."""
    from ci.cost.listing import listed_instances
    from ci.sagemaker.pricing import is_listed

    if before is None:
        return wanted
    regions = {*wanted, *filter(is_listed, before.regions)}
    return {
        each: wanted.get(each, frozenset()) | listed_instances(before, each) for each in regions
    }


def _listings(
    session: "Session", wanted: "Mapping[str, frozenset[Wanted]]"
) -> "Mapping[str, Listing]":
    from ci.cost.listing import list_prices
    from ci.sagemaker.clients import open_clients
    from ci.sagemaker.pricing import fetch_products, price_list_region

    found = {}
    for region, instances in sorted(wanted.items()):
        clients = open_clients(price_list_region(region), session.environ)
        found[region] = list_prices(instances, fetch_products(clients, region))
    return found

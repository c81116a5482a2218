"""Finds what is wrong with a RayJob or a RayCluster: how it starts, ends and grows, and who can reach it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from distrecvae.search.doctor.cluster.group import Group
from distrecvae.search.doctor.cluster.pods import of_pods
from distrecvae.search.doctor.cluster.tree import dig, listed, mapping, number, text, wrong
from distrecvae.search.doctor.cluster.versions import installed, of_image
from distrecvae.search.doctor.finding import Finding

LONGEST_NAME = 47
"""KubeRay adds a suffix, and Kubernetes takes 63 letters."""
PENDING_S = "RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S"
LONGEST_PENDING_S = 1800


class Place(NamedTuple):
    """Where a RayCluster's settings lie.

    Attributes:
        name: keys joined by dots.
        spec: the settings.
    """

    name: str
    spec: dict[str, Any]


def of_kuberay(content: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with a file of KubeRay's."""
    if content.get("apiVersion") != "ray.io/v1":
        yield wrong(
            "schema",
            "apiVersion",
            content.get("apiVersion"),
            "KubeRay's is ray.io/v1 (v1alpha1 is gone)",
            "write ray.io/v1",
        )
    name = text(content, "metadata", "name")
    if not re.fullmatch(rf"[a-z](?:[-a-z0-9]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?", name):
        yield wrong(
            "schema",
            "metadata.name",
            name or None,
            f"it is of small letters, digits and dashes, at most {LONGEST_NAME}, and begins with a letter",
            "write such a name",
        )
    place = Place("spec", mapping(content, "spec"))
    if content.get("kind") == "RayJob":
        yield from _of_job(place.spec)
        place = Place("spec.rayClusterSpec", mapping(content, "spec", "rayClusterSpec"))
    elif content.get("kind") == "RayService":
        yield wrong(
            "schema",
            "kind",
            "RayService",
            "it serves requests, and a search is a job",
            "write a RayJob, as cluster/kuberay-rayjob.yaml",
        )
    if not place.spec:
        yield wrong(
            "schema",
            place.name,
            dig(content, *place.name.split(".")),
            "it says what cluster is made",
            "write it, as cluster/kuberay-rayjob.yaml has it",
        )
        return
    yield from _of_cluster(place)
    yield from _of_growth(place)
    groups = _groups(place)
    for group in groups:
        yield from of_pods(group)
        for image in group.images:
            yield from of_image(
                f"{group.where}.template.spec.containers.image", image, text(place.spec, "rayVersion") or None
            )
    images = sorted({image for group in groups for image in group.images})
    if len(images) > 1:
        yield wrong(
            "versions",
            place.name,
            ", ".join(images),
            "head and workers from different images do not understand each other",
            "name one image for all (&image, *image)",
        )
    yield from _of_ways(place, [group for group in groups if not group.is_head])


def _groups(place: Place) -> list[Group]:
    head = Group(f"{place.name}.headGroupSpec", mapping(place.spec, "headGroupSpec"), is_head=True)
    workers = listed(place.spec, "workerGroupSpecs")
    return [
        head,
        *(
            Group(f"{place.name}.workerGroupSpecs[{i}]", mapping(g), is_head=False)
            for i, g in enumerate(workers)
        ),
    ]


def _of_job(spec: dict[str, Any]) -> Iterator[Finding]:
    mode = spec.get("submissionMode")
    if mode != "HTTPMode":
        yield wrong(
            "job",
            "spec.submissionMode",
            mode,
            "a pod then submits the job: perhaps before the head answers, without the token; its end is the job's",
            "write submissionMode: HTTPMode",
        )
    if not number(spec, "backoffLimit"):
        yield wrong(
            "job",
            "spec.backoffLimit",
            spec.get("backoffLimit"),
            "a head that is lost ends the job, which is not restarted",
            "write backoffLimit: 10: the search continues with its folder",
        )
    if not number(spec, "activeDeadlineSeconds"):
        yield wrong(
            "job",
            "spec.activeDeadlineSeconds",
            spec.get("activeDeadlineSeconds"),
            "a job that hangs costs without end",
            "write the longest time that you would wait, such as 259200 (three days)",
        )
    if spec.get("shutdownAfterJobFinishes") is not True:
        yield wrong(
            "costs",
            "spec.shutdownAfterJobFinishes",
            spec.get("shutdownAfterJobFinishes"),
            "the cluster stays when the job is over, and costs",
            "write shutdownAfterJobFinishes: true",
        )
    if (rest := number(spec, "ttlSecondsAfterFinished")) is None or not 0 <= rest <= 86400:
        yield wrong(
            "costs",
            "spec.ttlSecondsAfterFinished",
            spec.get("ttlSecondsAfterFinished"),
            "so long the ended job's pods stay; without it they go before their logs are read",
            "write ttlSecondsAfterFinished: 300",
        )
    entry = text(spec, "entrypoint")
    if "-m distrecvae.job" not in entry:
        yield wrong(
            "job",
            "spec.entrypoint",
            entry or None,
            "a driver that dies alone would end the job",
            "write python -m distrecvae.job ..., which begins the search again",
        )
        return
    for option, why in (
        ("--elastic", "its nodes come while it runs"),
        ("--out", "restarted, it must find its folder"),
        ("--gpus-per-trial", "nodes that are not there cannot be asked"),
    ):
        if option not in entry:
            yield wrong("job", "spec.entrypoint", entry, f"it lacks {option}: {why}", f"add {option}")


def _of_cluster(place: Place) -> Iterator[Finding]:
    here, given = installed("ray"), place.spec.get("rayVersion")
    if not isinstance(given, str) or (here is not None and given != here):
        yield wrong(
            "versions",
            f"{place.name}.rayVersion",
            given,
            f"the package's Ray is {here}, and KubeRay goes by this",
            f'write rayVersion: "{here}"',
        )
    if dig(place.spec, "authOptions", "mode") != "token":
        yield wrong(
            "authentication",
            f"{place.name}.authOptions.mode",
            dig(place.spec, "authOptions", "mode"),
            "anyone who reaches Ray's ports in the cluster can run anything",
            "write authOptions: {mode: token}",
        )
    service = dig(place.spec, "headGroupSpec", "serviceType")
    if service in ("LoadBalancer", "NodePort"):
        yield wrong(
            "ports",
            f"{place.name}.headGroupSpec.serviceType",
            service,
            "the dashboard, which runs what it is given, is open to the world",
            "write ClusterIP, and use kubectl port-forward",
        )
    params = mapping(place.spec, "headGroupSpec", "rayStartParams")
    if str(params.get("num-cpus")) != "0":
        yield wrong(
            "nodes",
            f"{place.name}.headGroupSpec.rayStartParams.num-cpus",
            params.get("num-cpus"),
            "trials on the head slow the search down that runs there",
            'write num-cpus: "0"',
        )
    for where, held in _start_params(place):
        if not isinstance(held, str):
            yield wrong(
                "schema", where, held, "KubeRay takes texts there, and refuses others", f'write "{held}"'
            )


def _start_params(place: Place) -> Iterator[tuple[str, Any]]:
    for group in _groups(place):
        for key, held in mapping(group.spec, "rayStartParams").items():
            yield f"{group.where}.rayStartParams.{key}", held


def _of_growth(place: Place) -> Iterator[Finding]:
    where, options = f"{place.name}.autoscalerOptions", mapping(place.spec, "autoscalerOptions")
    if place.spec.get("enableInTreeAutoscaling") is not True:
        yield wrong(
            "nodes",
            f"{place.name}.enableInTreeAutoscaling",
            place.spec.get("enableInTreeAutoscaling"),
            "without it no worker is ever added or given back",
            "write enableInTreeAutoscaling: true",
        )
        return
    idle = number(options, "idleTimeoutSeconds")
    if not idle or idle > 3600:
        yield wrong(
            "nodes",
            f"{where}.idleTimeoutSeconds",
            options.get("idleTimeoutSeconds"),
            "it says when a pod that no trial uses is given back (by itself 60 s, too short between rungs)",
            "write idleTimeoutSeconds: 300",
        )
    if options.get("version") != "v2":
        yield wrong(
            "capacity",
            f"{where}.version",
            options.get("version"),
            "the older autoscaler waits without end for a pod that finds no machine",
            "write version: v2",
        )
    env = {text(e, "name"): dig(e, "value") for e in listed(options, "env")}
    waits = env.get(PENDING_S)
    if not (isinstance(waits, str) and waits.isdigit() and 0 < int(waits) <= LONGEST_PENDING_S):
        yield wrong(
            "capacity",
            f"{where}.env.{PENDING_S}",
            waits,
            "so many seconds a pod may find no machine before the next group is asked; by itself an hour",
            f'write {{name: {PENDING_S}, value: "900"}}',
        )


def _of_ways(place: Place, workers: list[Group]) -> Iterator[Finding]:
    where = f"{place.name}.workerGroupSpecs"
    gpus = [group for group in workers if group.gpus]
    if not workers:
        yield wrong(
            "nodes",
            where,
            place.spec.get("workerGroupSpecs"),
            "trials run on workers, and there are none",
            "write groups, as cluster/kuberay-rayjob.yaml has them",
        )
    elif gpus:
        kinds = {group.accelerator for group in gpus}
        if len(kinds) == 1:
            yield wrong(
                "capacity",
                where,
                next(iter(kinds)) or "one GPU",
                "with one type of GPU a search waits while the cloud has none of it",
                "add a group with another nodeSelector",
            )
        if all(group.is_spot for group in gpus):
            yield wrong(
                "capacity",
                where,
                "spot",
                "all groups are: while there is no spot capacity, a search waits",
                "add the same groups without the nodeSelector for spot",
            )
        if gpus[-1].is_spot and not all(group.is_spot for group in gpus):
            yield wrong(
                "capacity",
                gpus[-1].where,
                "spot",
                "groups are asked in their order, and one on demand comes before it",
                "put spot groups first",
            )
    names = [text(group.spec, "groupName") for group in workers]
    for name in sorted({name for name in names if names.count(name) > 1 or not name}):
        yield wrong(
            "schema", f"{where}.groupName", name or None, "each group has a name of its own", "write one"
        )

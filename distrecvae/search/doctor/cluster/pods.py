"""Finds what is wrong with a group of pods: what they ask for, what they mount, where they run, when they are moved."""

from __future__ import annotations

import re
from collections.abc import Iterator

from distrecvae.search.doctor.cluster.group import GPU, Group, amount
from distrecvae.search.doctor.cluster.tree import dig, listed, mapping, number, text, wrong
from distrecvae.search.doctor.finding import Finding

EVICTION = "cluster-autoscaler.kubernetes.io/safe-to-evict"
SHM = "/dev/shm"  # noqa: S108  (named, not written to)
_SECRET = re.compile(r"SECRET|PASSWORD|API_KEY|ACCESS_KEY|TOKEN")


def of_pods(group: Group) -> Iterator[Finding]:
    """Yield what is wrong with a group's pods."""
    where = f"{group.where}.template"
    if not group.container:
        yield wrong(
            "schema",
            f"{where}.spec.containers",
            dig(group.pod, "containers"),
            "Ray runs in the first of them",
            "write one, as cluster/kuberay-rayjob.yaml has it",
        )
        return
    if not group.images:
        yield wrong(
            "schema",
            f"{where}.spec.containers[0].image",
            group.container.get("image"),
            "it says what runs",
            "write the image that cluster/Dockerfile makes",
        )
    evicted = dig(group.spec, "template", "metadata", "annotations", EVICTION)
    if evicted != "false":
        yield wrong(
            "pods",
            f"{where}.metadata.annotations.{EVICTION}",
            evicted,
            "the cluster may empty its node at any time to save one",
            f'write {EVICTION}: "false", as text',
        )
    if group.pod.get("restartPolicy") != "Never":
        yield wrong(
            "pods",
            f"{where}.spec.restartPolicy",
            group.pod.get("restartPolicy"),
            "a Ray that is restarted in its old pod is another node under the same name",
            "write restartPolicy: Never: the operator makes a new pod",
        )
    yield from _of_places(group, where)
    yield from _of_resources(group, f"{where}.spec.containers[0].resources")
    yield from _of_memory(group, where)
    yield from _of_volumes(group, where)
    for entry in listed(group.container, "env"):
        if _SECRET.search(text(entry, "name")) and dig(entry, "value"):
            yield wrong(
                "secrets",
                f"{where}.spec.containers[0].env.{text(entry, 'name')}",
                "...",
                "anyone who reads the file has a secret",
                "put it into a Secret, and write valueFrom: {secretKeyRef: ...}",
            )
    if not group.is_head:
        yield from _of_counts(group)


def _of_places(group: Group, where: str) -> Iterator[Finding]:
    keys = [text(t, "key") for t in listed(group.pod, "tolerations")]
    anything = any(
        text(t, "operator") == "Exists" and not text(t, "key") for t in listed(group.pod, "tolerations")
    )
    if group.gpus and GPU not in keys and not anything:
        yield wrong(
            "pods",
            f"{where}.spec.tolerations",
            keys or None,
            f"nodes with a GPU have the taint {GPU}, and no pod gets there without this",
            f"add {{key: {GPU}, operator: Exists, effect: NoSchedule}}",
        )
    if group.is_head and group.is_spot:
        yield wrong(
            "nodes",
            f"{where}.spec.nodeSelector",
            group.selector,
            "a head on spot is taken away with the driver and the object store",
            "take the selector out",
        )
    if group.is_head and group.gpus:
        yield wrong(
            "nodes",
            f"{where}.spec.containers[0].resources",
            f"{group.gpus:g} GPU",
            "no trial runs on the head: its GPU would cost and do nothing",
            f"take {GPU} out",
        )
    if group.pod.get("hostNetwork") is True:
        yield wrong(
            "ports", f"{where}.spec.hostNetwork", True, "Ray's ports would be the machine's", "take it out"
        )
    if dig(group.container, "securityContext", "privileged") is True:
        yield wrong(
            "pods",
            f"{where}.spec.containers[0].securityContext.privileged",
            True,
            "anyone who runs a trial would own the machine",
            "take it out: a GPU needs it not",
        )


def _of_resources(group: Group, where: str) -> Iterator[Finding]:
    requests, limits = (mapping(group.container, "resources", which) for which in ("requests", "limits"))
    for name in ("cpu", "memory", *((GPU,) if GPU in requests or GPU in limits else ())):
        asked, most = requests.get(name), limits.get(name)
        if most is None:
            yield wrong(
                "pods",
                f"{where}.limits.{name}",
                None,
                "Ray goes by the limits: it would count all that the machine has",
                f"write {name} in limits, and the same in requests",
            )
        elif amount(asked) != amount(most):
            yield wrong(
                "pods",
                f"{where}.requests.{name}",
                asked,
                f"its limit is {most}: Ray counts that, and such a pod is the first to go when memory is short",
                f"write {most}, as in limits",
            )


def _of_memory(group: Group, where: str) -> Iterator[Finding]:
    mounted = {
        text(m, "mountPath").rstrip("/"): text(m, "name") for m in listed(group.container, "volumeMounts")
    }
    volumes = {text(v, "name"): mapping(v) for v in listed(group.pod, "volumes")}
    shm = mapping(volumes.get(mounted.get(SHM, ""), {}), "emptyDir")
    if shm.get("medium") != "Memory":
        yield wrong(
            "pods",
            f"{where}.spec.volumes",
            mounted.get(SHM),
            f"Ray's object store needs {SHM}, of which a pod has 64 MB by itself",
            f"add emptyDir: {{medium: Memory, sizeLimit: 4Gi}}, mounted at {SHM}",
        )
        return
    size, memory = (
        amount(shm.get("sizeLimit")),
        amount(dig(group.container, "resources", "limits", "memory")),
    )
    if size is None or (memory is not None and size > 0.7 * memory):
        yield wrong(
            "pods",
            f"{where}.spec.volumes.emptyDir.sizeLimit",
            shm.get("sizeLimit"),
            "what lies there counts as the pod's memory: it is killed when both do not fit",
            "write a size, at most half of the memory's limit",
        )


def _of_volumes(group: Group, where: str) -> Iterator[Finding]:
    for name in (text(m, "name") for m in listed(group.container, "volumeMounts")):
        if name not in {text(v, "name") for v in listed(group.pod, "volumes")}:
            yield wrong(
                "schema",
                f"{where}.spec.containers[0].volumeMounts",
                name,
                "there is no such volume",
                "add it under volumes, or mend the name",
            )
    for volume in listed(group.pod, "volumes"):
        if "persistentVolumeClaim" in mapping(volume) and not group.is_head:
            yield wrong(
                "pods",
                f"{where}.spec.volumes.{text(volume, 'name')}",
                "persistentVolumeClaim",
                "a claim of several pods must be ReadWriteMany, and workers need share nothing but Ray",
                "take it out of the workers: the head alone reads data and writes results",
            )
        if "hostPath" in mapping(volume):
            yield wrong(
                "pods",
                f"{where}.spec.volumes.{text(volume, 'name')}",
                "hostPath",
                "what lies on one machine is not on the next",
                "take it out, or name a claim",
            )


def _of_counts(group: Group) -> Iterator[Finding]:
    low, now, high = (number(group.spec, key) for key in ("minReplicas", "replicas", "maxReplicas"))
    if not high:
        yield wrong(
            "nodes",
            f"{group.where}.maxReplicas",
            group.spec.get("maxReplicas"),
            "so many pods there are at most, and none is too few",
            "write how many GPUs you want at most",
        )
    elif (low or 0) > high:
        yield wrong(
            "nodes",
            f"{group.where}.minReplicas",
            group.spec.get("minReplicas"),
            f"maxReplicas is {high:g}",
            "write minReplicas: 0",
        )
    if low is None or now is None:
        yield wrong(
            "nodes",
            f"{group.where}.{'minReplicas' if low is None else 'replicas'}",
            None,
            "by itself it is one: a GPU that is kept, used or not",
            "write 0",
        )
    if group.gpus > 1:
        yield wrong(
            "nodes",
            f"{group.where}.template.spec.containers[0].resources",
            f"{group.gpus:g} GPUs",
            "a trial trains on one GPU, and a pod that wants several waits longer",
            f'write {GPU}: "1", and more replicas',
        )

"""cluster/cluster.yaml on an AWS of this machine (moto): its bootstrap, a head, a spot worker; data read from S3."""

from __future__ import annotations

import copy
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import DataError
from tests import ROOT
from tests.cluster.policies import REGION

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
moto = pytest.importorskip("moto", reason="needs moto (pip install '.[cluster-test]')")


def test_the_bootstrap_makes_a_group_open_to_ssh_alone_a_head_and_spot_workers(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3
    from ray.autoscaler._private.aws import config as aws_config
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config, validate_config
    from ray.autoscaler.tags import TAG_RAY_CLUSTER_NAME, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.2)))  # it waits for a real IAM
    monkeypatch.chdir(ROOT)
    with moto.mock_aws():
        ec2 = boto3.client("ec2", region_name=REGION)
        image = ec2.describe_images()["Images"][0]["ImageId"]
        text = (ROOT / "cluster/cluster.yaml").read_text(encoding="utf-8").replace("ami-CHANGE", image)
        config: dict[str, Any] = prepare_config(yaml.safe_load(text))
        config = AWSNodeProvider.fillout_available_node_types_resources(config)
        validate_config(config)
        kinds = [kind for kind in config["available_node_types"] if kind != "head"]
        for kind in kinds:
            gpu = config["available_node_types"][kind]["resources"]
            assert (gpu["CPU"], gpu["GPU"]) == (4, 1), "what AWS says a g5.xlarge and a g6.xlarge have"
        config = aws_config.bootstrap_aws(copy.deepcopy(config))
        provider = AWSNodeProvider({**config["provider"]}, config["cluster_name"])
        for kind, role in (("head", "head"), *((kind, "worker") for kind in kinds)):
            node = config["available_node_types"][kind]["node_config"]
            tags = {TAG_RAY_NODE_KIND: role, TAG_RAY_USER_NODE_TYPE: kind, TAG_RAY_CLUSTER_NAME: "distrecvae"}
            provider.create_node(node, tags, 1)
        instances = [
            instance
            for reservation in ec2.describe_instances()["Reservations"]
            for instance in reservation["Instances"]
        ]
        assert {(i["InstanceType"], i.get("InstanceLifecycle", "on demand")) for i in instances} == {
            ("m5.xlarge", "on demand"),
            *product(("g5.xlarge", "g6.xlarge"), ("spot", "on demand")),
        }
        assert {i["ImageId"] for i in instances} == {image}
        (group,) = ec2.describe_security_groups(
            GroupIds=[g["GroupId"] for i in instances[:1] for g in i["SecurityGroups"]]
        )["SecurityGroups"]
        assert group["GroupName"] == "ray-autoscaler-distrecvae"
        outside = [rule for rule in group["IpPermissions"] if rule["IpRanges"] or rule.get("Ipv6Ranges")]
        assert [(rule["FromPort"], rule["ToPort"]) for rule in outside] == [(22, 22)]
        provider.terminate_nodes([i["InstanceId"] for i in instances])
        states = {
            i["State"]["Name"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]
        }
        assert states <= {"shutting-down", "terminated"}, "`ray down` must not merely stop them"


def test_a_data_set_on_s3_is_read_as_one_on_disk(
    aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    split = synthetic_split(n_users=60, n_items=50)
    save_dataset(split, tmp_path / "data", {"source": "synthetic"})
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        s3 = boto3.client("s3", region_name=REGION, endpoint_url=endpoint)
        s3.create_bucket(Bucket="sets", CreateBucketConfiguration={"LocationConstraint": REGION})
        for path in (tmp_path / "data").iterdir():
            s3.upload_file(str(path), "sets", f"ml/tiny/{path.name}")
        assert load_dataset("s3://sets/ml/tiny").fingerprint == split.fingerprint
        with pytest.raises(DataError, match="s3://sets/ml/absent is not a prepared dataset"):
            load_dataset("s3://sets/ml/absent")
        s3.delete_object(Bucket="sets", Key="ml/tiny/train.parquet")
        with pytest.raises(DataError, match=r"s3://sets/ml/tiny/train\.parquet is missing"):
            load_dataset("s3://sets/ml/tiny")
    finally:
        server.stop()

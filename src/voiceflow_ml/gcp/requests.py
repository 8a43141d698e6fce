"""The requests of a plan, built in one place: what is sent is what the dry run prints."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.cloud import compute_v1

from voiceflow_ml.gcp.plan import (
    ACCELERATOR,
    IMAGE_FAMILY,
    IMAGE_PROJECT,
    MACHINE_TYPE,
    RUN_LABEL,
    SCOPES,
    TAG,
    Plan,
)
from voiceflow_ml.gcp.startup import render_startup


@dataclass(frozen=True)
class HttpRequest:
    """A request as it goes over the wire.

    Attributes:
        method: of HTTP.
        path: below the host.
        query: after the path.
        body: JSON; empty for none.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]


def insert_request(plan: Plan, zone: str) -> compute_v1.InsertInstanceRequest:
    """The request that makes a plan's machine in a zone; the only place that builds one."""
    # The same plan and zone give the same id, so a request that is sent again makes no second machine.
    request_id = uuid.uuid5(uuid.NAMESPACE_URL, f"voiceflow-ml/{plan.project}/{plan.run_id}/{zone}")
    return compute_v1.InsertInstanceRequest(
        project=plan.project, zone=zone, request_id=str(request_id), instance_resource=_instance(plan, zone)
    )


def delete_request(project: str, zone: str, name: str) -> compute_v1.DeleteInstanceRequest:
    """The request that deletes a machine, and with it its disk."""
    return compute_v1.DeleteInstanceRequest(project=project, zone=zone, instance=name)


def _instance(plan: Plan, zone: str) -> compute_v1.Instance:
    return compute_v1.Instance(
        name=plan.machine,
        machine_type=f"zones/{zone}/machineTypes/{MACHINE_TYPE}",
        labels={RUN_LABEL: plan.run_id},
        guest_accelerators=[
            compute_v1.AcceleratorConfig(
                accelerator_count=1, accelerator_type=f"zones/{zone}/acceleratorTypes/{ACCELERATOR}"
            )
        ],
        disks=[
            compute_v1.AttachedDisk(
                boot=True,
                auto_delete=True,
                initialize_params=compute_v1.AttachedDiskInitializeParams(
                    source_image=f"projects/{IMAGE_PROJECT}/global/images/family/{IMAGE_FAMILY}",
                    disk_size_gb=plan.disk_gb,
                    disk_type=f"zones/{zone}/diskTypes/pd-balanced",
                    labels={RUN_LABEL: plan.run_id},
                ),
            )
        ],
        # Without an access configuration there is no external address.
        network_interfaces=[compute_v1.NetworkInterface(network=plan.network)],
        tags=compute_v1.Tags(items=[TAG]),
        scheduling=_scheduling(plan),
        service_accounts=[compute_v1.ServiceAccount(email=plan.service_account, scopes=list(SCOPES))],
        shielded_instance_config=compute_v1.ShieldedInstanceConfig(enable_vtpm=True, enable_integrity_monitoring=True),
        metadata=compute_v1.Metadata(
            items=[
                compute_v1.Items(key="startup-script", value=render_startup(plan)),
                compute_v1.Items(key="enable-oslogin", value="TRUE"),
                compute_v1.Items(key="block-project-ssh-keys", value="TRUE"),
                compute_v1.Items(key="serial-port-logging-enable", value="TRUE"),
            ]
        ),
    )


def _scheduling(plan: Plan) -> compute_v1.Scheduling:
    return compute_v1.Scheduling(
        # A machine with a GPU cannot be moved while it runs.
        on_host_maintenance="TERMINATE",
        automatic_restart=False,
        provisioning_model="SPOT" if plan.spot else "STANDARD",
        # The only clean-up that outlives us: Compute Engine deletes the machine itself.
        max_run_duration=compute_v1.Duration(seconds=plan.max_run_s),
        instance_termination_action="DELETE",
    )


def to_http(request: compute_v1.InsertInstanceRequest | compute_v1.DeleteInstanceRequest) -> HttpRequest:
    """A request as it goes over the wire."""
    path = f"/compute/v1/projects/{request.project}/zones/{request.zone}/instances"
    if isinstance(request, compute_v1.DeleteInstanceRequest):
        return HttpRequest("DELETE", f"{path}/{request.instance}", {}, {})
    text = compute_v1.Instance.to_json(
        request.instance_resource, use_integers_for_enums=False, always_print_fields_with_no_presence=False
    )
    return HttpRequest("POST", path, {"requestId": request.request_id}, json.loads(text))


def gcloud_line(request: compute_v1.InsertInstanceRequest) -> str:
    """The same request for gcloud; the start-up script is in the file that the plan writes beside itself."""
    machine = request.instance_resource
    scheduling, disk, account = machine.scheduling, machine.disks[0].initialize_params, machine.service_accounts[0]
    *_, image_project, _, _, _, family = disk.source_image.split("/")
    others = ",".join(f"{item.key}={item.value}" for item in machine.metadata.items if item.key != "startup-script")
    words = {
        "project": request.project,
        "zone": request.zone,
        "machine-type": _last(machine.machine_type),
        "accelerator": f"type={_last(machine.guest_accelerators[0].accelerator_type)},count=1",
        "image-project": image_project,
        "image-family": family,
        "boot-disk-size": f"{disk.disk_size_gb}GB",
        "boot-disk-type": _last(disk.disk_type),
        "maintenance-policy": scheduling.on_host_maintenance,
        "provisioning-model": scheduling.provisioning_model,
        "max-run-duration": f"{scheduling.max_run_duration.seconds}s",
        "instance-termination-action": scheduling.instance_termination_action,
        "labels": ",".join(f"{key}={value}" for key, value in machine.labels.items()),
        "tags": ",".join(machine.tags.items),
        "network": _last(machine.network_interfaces[0].network),
        "service-account": account.email,
        "scopes": ",".join(account.scopes),
        "metadata": others,
        "metadata-from-file": f"startup-script={machine.name}.startup.sh",
    }
    switches = ["--no-address", "--no-restart-on-failure", "--shielded-vtpm", "--shielded-integrity-monitoring"]
    options = [f"--{name}={value}" for name, value in words.items()]
    return shlex.join(["gcloud", "compute", "instances", "create", machine.name, *options, *switches])


def _last(path: str) -> str:
    return path.rpartition("/")[2]

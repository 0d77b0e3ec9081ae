"""Replaces a PyTorchJob by what it read, with one field changed, with Kubernetes' Python client.

Prints the API server's Status where it rejects that, and exits with 1.

    client.py KUBECONFIG NAMESPACE NAME FIELD
"""

import sys

from kubernetes import client, config

SPEC = {"activeDeadlineSeconds": 600, "ttlSecondsAfterFinished": 60, "cleanPodPolicy": "All"}


def change(job, field):
    """Changes the field, which the training operator keeps in the run policy."""
    spec = job["spec"]
    if field in ("labels", "annotations"):
        job["metadata"].setdefault(field, {})["changed"] = "yes"
    elif field == "image":
        spec["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]["image"] = "other"
    else:
        spec.get("runPolicy", spec)[field] = SPEC[field]


def main(kubeconfig, namespace, name, field):
    config.load_kube_config(kubeconfig)
    jobs = client.CustomObjectsApi()
    of = {"group": "kubeflow.org", "version": "v1", "namespace": namespace, "plural": "pytorchjobs", "name": name}
    job = jobs.get_namespaced_custom_object(**of)
    change(job, field)
    try:
        jobs.replace_namespaced_custom_object(**of, body=job)
    except client.ApiException as rejected:
        print(rejected.body)
        sys.exit(1)


main(*sys.argv[1:])

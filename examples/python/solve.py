"""Has one captcha solved and prints the solution; ends 1 and says why where there is none.

    pip install -r examples/python/requirements.txt
    python examples/python/solve.py 0x4AAAAAAADnPIDROrmt1Wwj https://example.com/login

Needs deploy/examples/program.yaml. In a pod it is the pod's ServiceAccount, elsewhere your kubeconfig. What to take from
it: wait for status.completionTime, which a solved and a failed task both have; watch, do not poll; begin anew where a
watch ends, because every watch does.
"""

import sys
import time

from kubernetes import client, config, watch

TASKS = {"group": "captcha-operator.io", "version": "v1alpha1", "plural": "captchatasks"}
# A minute longer than the task's own deadline (activeDeadlineSeconds), which ends it in any case.
TIMEOUT_SECONDS = 660


def create(api, namespace, site_key, page_url):
    """A new task for each call: a name of yesterday would bring yesterday's solution."""
    captcha = {"type": "Turnstile", "turnstile": {"siteKey": site_key, "pageURL": page_url}}
    body = {
        "apiVersion": f"{TASKS['group']}/{TASKS['version']}",
        "kind": "CaptchaTask",
        "metadata": {"generateName": "solve-"},
        "spec": {"captcha": captcha, "ttlSecondsAfterFinished": 600},
    }
    return api.create_namespaced_custom_object(namespace=namespace, body=body, **TASKS)["metadata"]["name"]


def wait(api, namespace, name):
    """The finished task; LookupError where somebody deleted it, TimeoutError where it takes too long."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        # Without a resourceVersion a watch begins with the object as it is now.
        events = watch.Watch().stream(
            api.list_namespaced_custom_object,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
            timeout_seconds=max(1, int(deadline - time.monotonic())),
            **TASKS,
        )
        try:
            for event in events:
                if event["type"] == "DELETED":
                    raise LookupError(f"{name} was deleted")
                if event["object"].get("status", {}).get("completionTime"):
                    return event["object"]
        except client.ApiException as error:
            # 410: the API server has forgotten where we were.
            if error.status != 410:
                raise
    raise TimeoutError(f"{name} is not finished")


def main(site_key, page_url, namespace="default"):
    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    api = client.CustomObjectsApi()
    name = create(api, namespace, site_key, page_url)
    status = wait(api, namespace, name)["status"]
    if "solution" not in status:
        reason = next(one["reason"] for one in status["conditions"] if one["type"] == "Solved")
        sys.exit(f"{reason}: {status['failure']['message']}")
    print(status["solution"]["value"])
    api.delete_namespaced_custom_object(namespace=namespace, name=name, **TASKS)


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/bin/sh
# Has one captcha solved and prints the solution; ends 1 and says why where there is none.
#   TOKEN=$(sh examples/shell/solve.sh 0x4AAAAAAADnPIDROrmt1Wwj https://example.com/login)
# Needs kubectl and deploy/examples/program.yaml. Each call is a new task (generateName): a name of yesterday would bring
# yesterday's solution. KUBECTL may name another kubectl, with options.
set -eu
kubectl=${KUBECTL:-kubectl}

task=$($kubectl create -o name -f - <<YAML
apiVersion: captcha-operator.io/v1alpha1
kind: CaptchaTask
metadata:
  generateName: solve-
spec:
  # Tidies up where this script cannot.
  ttlSecondsAfterFinished: 600
  captcha:
    type: Turnstile
    turnstile: {siteKey: "$1", pageURL: "$2"}
YAML
)

# Solved or failed: both set completionTime. --for=condition=Solved would wait in vain for a task that failed.
# A minute longer than the task's own deadline (activeDeadlineSeconds, 600), which ends it in any case.
$kubectl wait --for=jsonpath='{.status.completionTime}' "$task" --timeout=11m >/dev/null
solution=$($kubectl get "$task" -o jsonpath='{.status.solution.value}')
if [ -z "$solution" ]; then
  $kubectl get "$task" -o jsonpath='{.status.conditions[?(@.type=="Solved")].reason}: {.status.failure.message}{"\n"}' >&2
  exit 1
fi
$kubectl delete "$task" --wait=false >/dev/null
printf '%s\n' "$solution"

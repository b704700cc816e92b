{{/* Names are fixed, as in deploy/: commands, runbooks and dashboards of the documentation hold for every installation. */}}

{{- define "captcha-operator.labels" -}}
app.kubernetes.io/part-of: captcha-operator
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "captcha-operator.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Of a container whose root nobody writes to. */}}
{{- define "captcha-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Liveness and startup; the argument is the name of the port. */}}
{{- define "captcha-operator.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
startupProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
{{- end }}

{{- define "captcha-operator.affinity" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector: {matchLabels: {app.kubernetes.io/name: captcha-operator}}
        matchLabelKeys: [pod-template-hash]
    - weight: 50
      podAffinityTerm:
        topologyKey: topology.kubernetes.io/zone
        labelSelector: {matchLabels: {app.kubernetes.io/name: captcha-operator}}
        matchLabelKeys: [pod-template-hash]
{{- end }}

{{/* An object of the gateway with what values.yaml can change; the argument has `object` and `root`. */}}
{{- define "captcha-operator.gateway" -}}
{{- $object := .object }}
{{- $root := .root }}
{{- $values := $root.Values.gateway }}
{{- if and (eq $object.kind "ClusterRoleBinding") $root.Values.singleNamespace }}
{{- $_ := set $object "kind" "RoleBinding" }}
{{- end }}
{{- if eq $object.kind "Deployment" }}
{{- $_ := set $object.spec "replicas" $values.replicas }}
{{- $pod := $object.spec.template.spec }}
{{- $labels := merge (include "captcha-operator.labels" $root | fromYaml) $object.spec.template.metadata.labels }}
{{- $_ := unset $labels "app.kubernetes.io/managed-by" }}
{{- $_ := unset $labels "helm.sh/chart" }}
{{- $_ := set $object.spec.template.metadata "labels" $labels }}
{{- with $root.Values.imagePullSecrets }}{{ $_ := set $pod "imagePullSecrets" . }}{{ end }}
{{- $container := first $pod.containers }}
{{- $_ := set $container "image" (include "captcha-operator.image" $root) }}
{{- with $root.Values.image.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end }}
{{- $_ := set $container "resources" $values.resources }}
{{- if $root.Values.singleNamespace }}
{{- $here := dict "name" "WATCH_NAMESPACES" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace")) }}
{{- $_ := set $container "env" (append $container.env $here) }}
{{- end }}
{{- range $name, $value := $values.settings }}
{{- $_ := set $container "env" (append $container.env (dict "name" $name "value" (toString $value))) }}
{{- end }}
{{- $_ := set (first $pod.volumes).secret "secretName" $values.keysSecret }}
{{- end }}
{{ toYaml $object }}
{{- end }}

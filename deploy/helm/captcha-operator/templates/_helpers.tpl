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
{{- if $values.tls.enabled }}
{{- include "captcha-operator.gatewayTls" (dict "object" $object "secret" $values.tls.secret) }}
{{- end }}
{{ toYaml $object }}
{{- end }}

{{/* Changes an object of the gateway as deploy/components/gateway-tls does; it says nothing. */}}
{{- define "captcha-operator.gatewayTls" -}}
{{- $object := .object }}
{{- if eq $object.kind "Deployment" }}
{{- $pod := $object.spec.template.spec }}
{{- $container := first $pod.containers }}
{{- $place := "/etc/captcha-operator/gateway-tls" }}
{{- $cert := dict "name" "GATEWAY_TLS_CERT_FILE" "value" (printf "%s/tls.crt" $place) }}
{{- $key := dict "name" "GATEWAY_TLS_KEY_FILE" "value" (printf "%s/tls.key" $place) }}
{{- $_ := set $container "env" (concat $container.env (list $cert $key)) }}
{{- $_ := set $container "ports" (append $container.ports (dict "name" "gateway-tls" "containerPort" 8443)) }}
{{- $_ := set $container "volumeMounts" (append $container.volumeMounts (dict "name" "tls" "mountPath" $place "readOnly" true)) }}
{{- $secret := dict "secretName" .secret "optional" true "defaultMode" 0440 }}
{{- $_ := set $pod "volumes" (append $pod.volumes (dict "name" "tls" "secret" $secret)) }}
{{- else if eq $object.kind "Service" }}
{{- $port := dict "name" "https" "port" 443 "targetPort" "gateway-tls" "appProtocol" "https" }}
{{- $_ := set $object.spec "ports" (append $object.spec.ports $port) }}
{{- else if eq $object.kind "NetworkPolicy" }}
{{- $rule := first $object.spec.ingress }}
{{- $_ := set $rule "ports" (append $rule.ports (dict "port" "gateway-tls" "protocol" "TCP")) }}
{{- end }}
{{- end }}

{{- define "pytorchjob-guard.labels" -}}
app.kubernetes.io/name: pytorchjob-guard
{{- end }}

{{- define "pytorchjob-guard.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* Whether the registration carries the conditions of the built-in policy. Helm cannot work out those of another. */}}
{{- define "pytorchjob-guard.hasConditions" -}}
{{- if not (or .Values.alwaysAsk .Values.policyText) }}true{{ end -}}
{{- end }}

{{/* What an own policy is about: one rule for each API group, as the guard's own `registration` has them. */}}
{{- define "pytorchjob-guard.rules" -}}
{{- $policy := fromYaml .policyText -}}
{{- if or $policy.Error (not $policy.resources) -}}
{{- fail "policyText is no policy: see docs/policies.md, and try it with pytorchjob-guard policy lint" -}}
{{- end -}}
{{- $groups := dict -}}
{{- range $policy.resources -}}
{{- $resource := printf "%s%s" .resource $.suffix -}}
{{- $_ := set $groups .group (append (get $groups .group | default list) $resource) -}}
{{- end -}}
{{- range $group := keys $groups | sortAlpha }}
- apiGroups: [{{ $group | quote }}]
  apiVersions: ["*"]
  operations: [UPDATE]
  resources: {{ get $groups $group | toJson }}
  scope: "*"
{{- end }}
{{- end }}

{{/* The ValidatingWebhookConfiguration that follows from the policy, as the guard prints it, and what was chosen for it. */}}
{{- define "pytorchjob-guard.registration" -}}
{{- $registration := .Files.Get (printf "policies/%s/registration.yaml" .Values.policy) | fromYaml -}}
{{- $labels := include "pytorchjob-guard.labels" . | fromYaml -}}
{{- $_ := set $registration.metadata "labels" $labels -}}
{{- if eq .Values.certificates "cert-manager" -}}
{{- $from := printf "%s/pytorchjob-guard-cert-manager-ca" .Release.Namespace -}}
{{- $_ := set $registration.metadata "annotations" (dict "cert-manager.io/inject-ca-from" $from) -}}
{{- end -}}
{{- range $webhook := $registration.webhooks -}}
{{- $_ := set $webhook.clientConfig.service "namespace" $.Release.Namespace -}}
{{- if not (include "pytorchjob-guard.hasConditions" $) -}}
{{- $_ := unset $webhook "matchConditions" -}}
{{- end -}}
{{- with $.Values.policyText -}}
{{- $suffix := hasPrefix "scale." $webhook.name | ternary "/scale" "" -}}
{{- $rules := include "pytorchjob-guard.rules" (dict "policyText" . "suffix" $suffix) | fromYamlArray -}}
{{- $_ := set $webhook "rules" $rules -}}
{{- end -}}
{{- end -}}
{{ toYaml $registration }}
{{- end }}

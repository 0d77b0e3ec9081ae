{{- define "pytorchjob-guard.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 45 | trimSuffix "-" }}
{{- end }}

{{/* The name of the objects: of two releases in one cluster, those of the cluster differ too. */}}
{{- define "pytorchjob-guard.fullname" -}}
{{- $name := include "pytorchjob-guard.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{/* The longest suffix is -cert-manager-ca. */}}
{{- .Values.fullnameOverride | default $full | trunc 45 | trimSuffix "-" -}}
{{- end }}

{{- define "pytorchjob-guard.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pytorchjob-guard.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pytorchjob-guard.labels" -}}
{{ include "pytorchjob-guard.selectorLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pytorchjob-guard.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* Whether the registration carries conditions. Helm cannot work out those of an own policy. */}}
{{- define "pytorchjob-guard.hasConditions" -}}
{{- $isPrinted := or .Values.registrationText (not (or .Values.policyText .Values.policies)) -}}
{{- if and $isPrinted (not .Values.alwaysAsk) }}true{{ end -}}
{{- end }}

{{/* An own policy, read. */}}
{{- define "pytorchjob-guard.policy" -}}
{{- $policy := fromYaml .text -}}
{{- if or $policy.Error (not $policy.resources) (not $policy.name) -}}
{{- printf "%s is no policy: see docs/policies.md, and try it with pytorchjob-guard policy lint" .where | fail -}}
{{- end -}}
{{ toYaml $policy }}
{{- end }}

{{/* A webhook of the registration with the rules and settings of an own policy. */}}
{{- define "pytorchjob-guard.webhook" -}}
{{- $webhook := .webhook -}}
{{- $isScale := hasPrefix "scale." $webhook.name -}}
{{- $rules := include "pytorchjob-guard.rules" (dict "policy" .policy "suffix" ($isScale | ternary "/scale" "")) -}}
{{- $_ := set $webhook "rules" (fromYamlArray $rules) -}}
{{- range $key := list "namespaceSelector" "failurePolicy" "timeoutSeconds" -}}
{{- if hasKey $.policy $key -}}
{{- $_ := set $webhook $key (get $.policy $key) -}}
{{- end -}}
{{- end -}}
{{/* A Scale has no labels. */}}
{{- if and .policy.objectSelector (not $isScale) -}}
{{- $_ := set $webhook "objectSelector" .policy.objectSelector -}}
{{- end -}}
{{- end }}

{{/* What an own policy is about: one rule for each API group, as the guard's own `registration` has them. */}}
{{- define "pytorchjob-guard.rules" -}}
{{- $policy := .policy -}}
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

{{/* The ValidatingWebhookConfiguration that follows from the policy, as the guard prints it, with what was chosen for it. */}}
{{- define "pytorchjob-guard.registration" -}}
{{- $shipped := .Files.Get (printf "policies/%s/registration.yaml" .Values.policy) -}}
{{- $registration := .Values.registrationText | default $shipped | fromYaml -}}
{{- if or (ne (get $registration "kind") "ValidatingWebhookConfiguration") (not $registration.webhooks) -}}
{{- fail "registrationText is no ValidatingWebhookConfiguration: print it with pytorchjob-guard registration" -}}
{{- end -}}
{{- $labels := include "pytorchjob-guard.labels" . | fromYaml -}}
{{- $_ := set $registration.metadata "labels" $labels -}}
{{- $_ := set $registration.metadata "name" (include "pytorchjob-guard.fullname" .) -}}
{{- if eq .Values.certificates "cert-manager" -}}
{{- $from := printf "%s/%s-cert-manager-ca" .Release.Namespace (include "pytorchjob-guard.fullname" .) -}}
{{- $_ := set $registration.metadata "annotations" (dict "cert-manager.io/inject-ca-from" $from) -}}
{{- end -}}
{{- $webhooks := list -}}
{{- range $file, $text := .Values.policies -}}
{{- $policy := include "pytorchjob-guard.policy" (dict "text" $text "where" (printf "policies.%s" $file)) | fromYaml -}}
{{- $segment := regexReplaceAll "[^a-z0-9]" (lower $policy.name) "-" -}}
{{- range $registration.webhooks -}}
{{- $webhook := deepCopy . -}}
{{- include "pytorchjob-guard.webhook" (dict "webhook" $webhook "policy" $policy) -}}
{{- $_ := set $webhook "name" (printf "%s.%s.pytorchjob-guard.internal" (splitList "." $webhook.name | first) $segment) -}}
{{- $_ := set $webhook.clientConfig.service "path" (printf "/validate/%s" $segment) -}}
{{- $webhooks = append $webhooks $webhook -}}
{{- end -}}
{{- end -}}
{{- if and .Values.policies (not .Values.registrationText) -}}
{{- $_ := set $registration "webhooks" $webhooks -}}
{{- end -}}
{{- range $webhook := $registration.webhooks -}}
{{- if not $webhook.clientConfig.service -}}
{{- fail "registrationText has a webhook that leads to no Service: print it without --url" -}}
{{- end -}}
{{- $_ := set $webhook.clientConfig.service "namespace" $.Release.Namespace -}}
{{- $_ := set $webhook.clientConfig.service "name" (include "pytorchjob-guard.fullname" $) -}}
{{- if not (include "pytorchjob-guard.hasConditions" $) -}}
{{- $_ := unset $webhook "matchConditions" -}}
{{- end -}}
{{- with $.Values.policyText -}}
{{- $policy := include "pytorchjob-guard.policy" (dict "text" . "where" "policyText") | fromYaml -}}
{{- if not $.Values.registrationText -}}
{{- include "pytorchjob-guard.webhook" (dict "webhook" $webhook "policy" $policy) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toYaml $registration }}
{{- end }}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

func (m *maker) nothing() string { return "automountServiceAccountToken: false\n" }

// indent puts spaces before each line that is not empty.
func indent(n int, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString(strings.Repeat(" ", n))
		}
		b.WriteString(line)
	}
	return b.String()
}

func (m *maker) workload() string {
	app := m.word()
	return fmt.Sprintf("spec:\n  replicas: %d\n  revisionHistoryLimit: 3\n  selector:\n    matchLabels:\n      app: %s\n  strategy:\n    type: RollingUpdate\n    rollingUpdate: {maxSurge: 25%%, maxUnavailable: 0}\n  template:\n    metadata:\n      labels:\n        app: %s\n      annotations:\n        prometheus.io/scrape: \"true\"\n        prometheus.io/port: \"9090\"\n    spec:\n%s",
		1+m.rand.IntN(5), app, app, indent(6, m.pod(app)))
}

func (m *maker) cronJob() string {
	return "spec:\n  schedule: \"*/15 * * * *\"\n  concurrencyPolicy: Forbid\n  timeZone: Etc/UTC\n  jobTemplate:\n    spec:\n      backoffLimit: 2\n      template:\n        spec:\n          restartPolicy: OnFailure\n" + indent(10, m.pod(m.word()))
}

func (m *maker) pod(app string) string {
	var b strings.Builder
	b.WriteString("serviceAccountName: " + app + "\nsecurityContext:\n  runAsNonRoot: true\n  seccompProfile:\n    type: RuntimeDefault\ncontainers:\n")
	for range 1 + m.rand.IntN(2) {
		b.WriteString(m.container())
	}
	if m.chance(30) {
		b.WriteString("initContainers:\n- name: prepare\n  image: \"example.com/images/tools/prepare:1.0.3\"\n  command:\n  - /bin/sh\n  - -c\n  - |\n    set -eu\n    # what is written here is only text\n    cat >/out/manifest.yaml <<EOF\n    apiVersion: extensions/v1beta1\n    kind: Deployment\n    ---\n    apiVersion: policy/v1beta1\n    kind: PodSecurityPolicy\n    EOF\n  volumeMounts:\n  - {name: tmp, mountPath: /out}\n")
	}
	b.WriteString("affinity:\n  podAntiAffinity:\n    preferredDuringSchedulingIgnoredDuringExecution:\n    - weight: 100\n      podAffinityTerm:\n        topologyKey: kubernetes.io/hostname\n        labelSelector:\n          matchExpressions:\n          - key: app\n            operator: In\n            values:\n            - " + app + "\ntolerations:\n- key: dedicated\n  operator: Exists\n  effect: NoSchedule\nvolumes:\n- name: config\n  configMap:\n    name: " + app + "\n    defaultMode: 420\n- name: tmp\n  emptyDir: {}\n")
	return b.String()
}

func (m *maker) container() string {
	var b strings.Builder
	fmt.Fprintf(&b, "- name: %s\n  image: example.com/images/%s/%s:v1.%d.%d\n  imagePullPolicy: IfNotPresent\n", m.word(), m.word(), m.word(), m.rand.IntN(30), m.rand.IntN(9))
	if m.chance(40) {
		b.WriteString("  args: [\"--listen=0.0.0.0:8080\", \"--log-level=info\", '--mode', serve]\n")
	} else {
		b.WriteString("  args:\n  - --listen=0.0.0.0:8080\n  - --log-level=info\n  - --config=/etc/app/config.yaml\n")
	}
	b.WriteString("  ports:\n  - containerPort: 8080\n    name: http\n    protocol: TCP\n  - containerPort: 9090\n    name: metrics\n    protocol: TCP\n  env:\n")
	for range 4 + m.rand.IntN(10) {
		fmt.Fprintf(&b, "  - name: %s_%s\n    value: \"%s://%s.svc.cluster.local:%d/%s\"\n", strings.ToUpper(m.word()), strings.ToUpper(m.word()), m.pick("http", "grpc", "redis"), m.word(), 1024+m.rand.IntN(60000), m.word())
	}
	b.WriteString("  - name: POD_NAME\n    valueFrom:\n      fieldRef:\n        apiVersion: v1\n        fieldPath: metadata.name\n  envFrom:\n  - secretRef:\n      name: credentials\n      optional: true\n")
	for _, probe := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		fmt.Fprintf(&b, "  %s:\n    httpGet:\n      path: /%s\n      port: http\n    initialDelaySeconds: %d\n    periodSeconds: 10\n    timeoutSeconds: 3\n    failureThreshold: 6\n", probe, m.pick("healthz", "ready", "live"), m.rand.IntN(60))
	}
	b.WriteString("  resources:\n    requests:\n      cpu: 100m\n      memory: 128Mi\n    limits:\n      memory: 512Mi\n  securityContext:\n    allowPrivilegeEscalation: false\n    readOnlyRootFilesystem: true\n    capabilities:\n      drop: [ALL]\n  volumeMounts:\n  - name: config\n    mountPath: /etc/app\n    readOnly: true\n  - name: tmp\n    mountPath: /tmp\n")
	return b.String()
}

func (m *maker) service() string {
	return "spec:\n  type: ClusterIP\n  ports:\n  - port: 80\n    targetPort: http\n    protocol: TCP\n    name: http\n  - port: 9090\n    targetPort: metrics\n    name: metrics\n  selector:\n    app.kubernetes.io/name: " + m.word() + "\n    app.kubernetes.io/instance: release\n"
}

// configMap holds what looks like a manifest in three ways.
func (m *maker) configMap() string {
	var b strings.Builder
	b.WriteString("data:\n  LOG_LEVEL: info\n  escaped: \"apiVersion: extensions/v1beta1\\nkind: Ingress\\n\"\n")
	for range 1 + m.rand.IntN(4) {
		old := m.removed[m.rand.IntN(len(m.removed))]
		fmt.Fprintf(&b, "  %s.yaml: |\n    apiVersion: %s\n    kind: %s\n    metadata:\n      name: %s\n    spec:\n      note: \"{{ .Values.note }}\"\n    ---\n    apiVersion: v1\n    kind: List\n    items:\n    - apiVersion: %s\n      kind: %s\n", m.name(), old.apiVersion(), old.kind, m.word(), old.apiVersion(), old.kind)
	}
	for range m.rand.IntN(40) {
		fmt.Fprintf(&b, "  %s.%s: %s\n", m.word(), m.word(), strings.Repeat(m.word()+"-", 3)+"end")
	}
	b.WriteString("  dashboard.json: |-\n    {\"apiVersion\":\"apps/v1beta1\",\"kind\":\"Deployment\",\n     \"items\":[]}\n")
	return b.String()
}

func (m *maker) secret() string {
	return "type: Opaque\ndata:\n  password: c2VjcmV0LXNlY3JldC1zZWNyZXQ=\n  tls.crt: " + strings.Repeat("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t", 30) + "\n"
}

func (m *maker) role() string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for range 2 + m.rand.IntN(6) {
		fmt.Fprintf(&b, "- apiGroups: [\"extensions\", \"%s\"]\n  resources:\n  - %s\n  - ingresses\n  verbs: [\"get\", \"list\", \"watch\"]\n", m.pick("", "apps", "batch"), m.word())
	}
	return b.String()
}

func (m *maker) ingress() string {
	return "spec:\n  ingressClassName: nginx\n  rules:\n  - host: " + m.word() + ".example.com\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: " + m.word() + "\n            port:\n              number: 80\n  tls:\n  - hosts: [\"" + m.word() + ".example.com\"]\n    secretName: tls\n"
}

// generic is a body for whatever kind; it refers to other objects, as many do.
func (m *maker) generic() string {
	var b strings.Builder
	b.WriteString("spec:\n  scaleTargetRef:\n    apiVersion: apps/v1beta1\n    kind: Deployment\n    name: " + m.word() + "\n  template:\n    apiVersion: extensions/v1beta1\n    kind: Ingress\n")
	for range 3 + m.rand.IntN(20) {
		fmt.Fprintf(&b, "  %s%d:\n    enabled: %s\n    weight: %d\n    description: >-\n      %s\n      %s\n", m.word(), m.made+b.Len(), m.pick("true", "false"), m.rand.IntN(1000), m.word(), m.word())
	}
	return b.String()
}

func (m *maker) alerts() string {
	var b strings.Builder
	b.WriteString("spec:\n  groups:\n  - name: " + m.word() + "\n    rules:\n")
	for range 4 + m.rand.IntN(8) {
		fmt.Fprintf(&b, "    - alert: %s\n      annotations:\n        summary: \"{{ $labels.namespace }}/{{ $labels.pod }} is %s\"\n        description: |\n          Value is {{ $value }}\n      expr: |\n        sum by (namespace, pod) (rate(%s_total{job=\"%s\"}[5m])) > %d\n      for: 10m\n      labels:\n        severity: %s\n", m.word(), m.word(), m.word(), m.word(), m.rand.IntN(100), m.pick("warning", "critical"))
	}
	return b.String()
}

// definition is a CustomResourceDefinition as controller-gen writes it, with
// descriptions over several lines.
func (m *maker) definition() string {
	var b strings.Builder
	b.WriteString("spec:\n  group: example.com\n  names:\n    kind: Widget\n    listKind: WidgetList\n    plural: widgets\n    singular: widget\n  scope: Namespaced\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n          apiVersion:\n            description: 'APIVersion defines the versioned schema of this representation\n              of an object. More info: https://example.com/resources'\n            type: string\n          kind:\n            description: Kind is a string value representing the REST resource\n              this object represents.\n            type: string\n          spec:\n            type: object\n            properties:\n")
	for range 30 + m.rand.IntN(60) {
		fmt.Fprintf(&b, "              %s%d:\n                description: The %s of the %s, which is used\n                  when the %s is not set.\n                type: %s\n", m.word(), b.Len(), m.word(), m.word(), m.word(), m.pick("string", "integer", "boolean"))
	}
	return b.String()
}

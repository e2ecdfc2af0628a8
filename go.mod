module perennial.dev/perennial

go 1.26.0

require (
	go.yaml.in/yaml/v2 v2.4.5
	golang.org/x/sys v0.49.0 // indirect
	sigs.k8s.io/yaml v1.6.0
)

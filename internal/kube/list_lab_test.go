// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/testlab"
)

// A real server's discovery and lists are read whole, page by page, in JSON and
// as metadata alone, also when a token has expired in between.
func TestLabList(t *testing.T) {
	testlab.Each(t, func(p *testlab.Plane) {
		client, err := OpenContext(Context{Kubeconfig: filepath.Join(p.KubernetesDir, "admin.conf")}, "test")
		if err != nil {
			p.Fatal(err)
		}
		defer client.Close()
		p.Part("discovery", func(p *testlab.Plane) { discovers(p, client) })
		p.Part("pages", func(p *testlab.Plane) { listsPages(p, client) })
		p.Part("expired", func(p *testlab.Plane) { listsOnAfterCompaction(p, client) })
	})
}

// discovers wants what kubectl finds.
func discovers(p *testlab.Plane, client *Client) {
	served, err := client.Discover(p.Context())
	if err != nil || len(served.Absent) != 0 {
		p.Fatalf("%v, absent %v", err, served.Absent)
	}
	var ours []string
	for _, r := range served.Preferred() {
		ours = append(ours, r.String())
	}
	out, ok := p.Kubectl("api-resources", "-o", "name")
	if !ok {
		p.Fatal(out)
	}
	theirs := strings.Fields(out)
	slices.Sort(ours)
	slices.Sort(theirs)
	if !slices.Equal(ours, theirs) {
		p.Errorf("discovered %v, kubectl %v", ours, theirs)
	}
	i := slices.IndexFunc(served.Resources, func(r Resource) bool { return r.Name == "horizontalpodautoscalers" })
	if first := served.Resources[i]; first.Version != "v2" || !slices.ContainsFunc(served.Resources, func(r Resource) bool { return r.APIVersion() == "autoscaling/v1" }) || !first.Namespaced || first.Kind != "HorizontalPodAutoscaler" || !first.Lists() {
		p.Errorf("%+v", first)
	}
}

func (c *Client) names(p *testlab.Plane, l Listing, between func(n int)) []string {
	p.Helper()
	l.Resource = configMaps
	var names []string
	err := c.List(p.Context(), l, func(item json.RawMessage) error {
		var o struct {
			Metadata struct{ Name, Namespace string }
			Data     map[string]string
		}
		if err := json.Unmarshal(item, &o); err != nil {
			return err
		}
		if (o.Data["a"] == "b") == l.Metadata {
			p.Errorf("metadata alone is %v: %s", l.Metadata, item)
		}
		names = append(names, o.Metadata.Name)
		if between != nil {
			between(len(names))
		}
		return nil
	})
	if err != nil {
		p.Error(err)
	}
	return names
}

func listsPages(p *testlab.Plane, client *Client) {
	var manifest strings.Builder
	for i := range 12 {
		fmt.Fprintf(&manifest, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%02d, namespace: default, labels: {test: pages}}\ndata: {a: b}\n", i)
	}
	p.Apply(manifest.String())
	var want []string
	for i := range 12 {
		want = append(want, fmt.Sprintf("c%02d", i))
	}
	for _, metadata := range []bool{false, true} {
		for _, page := range []int{0, 5} {
			if got := client.names(p, Listing{Labels: "test=pages", Metadata: metadata, Page: page, Namespace: "default"}, nil); !slices.Equal(got, want) {
				p.Errorf("pages of %d: %v", page, got)
			}
		}
	}
}

// listsOnAfterCompaction takes away the history that the token of the second
// page needs: the server answers 410, and the list comes whole.
func listsOnAfterCompaction(p *testlab.Plane, client *Client) {
	got := client.names(p, Listing{Labels: "test=pages", Page: 4, Namespace: "default"}, func(n int) {
		if n != 4 {
			return
		}
		p.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: later, namespace: default, labels: {test: pages}}\ndata: {a: b}\n")
		var status []struct {
			Status struct {
				Header struct {
					Revision int64 `json:"revision"`
				} `json:"header"`
			} `json:"Status"`
		}
		if err := json.Unmarshal([]byte(p.Inside("etcdctl", "endpoint", "status", "-w", "json")), &status); err != nil || len(status) == 0 {
			p.Fatalf("%v: %+v", err, status)
		}
		p.Inside("etcdctl", "compact", fmt.Sprint(status[0].Status.Header.Revision))
	})
	want := []string{"c00", "c01", "c02", "c03", "c04", "c05", "c06", "c07", "c08", "c09", "c10", "c11"}
	if without := slices.DeleteFunc(slices.Clone(got), func(name string) bool { return name == "later" }); !slices.Equal(without, want) {
		p.Errorf("%v", got)
	}
	p.Logf("%d objects, of which the one that was made later is %v", len(got), slices.Contains(got, "later"))
}

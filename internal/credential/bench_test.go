// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"context"
	"fmt"
	"testing"

	"perennial.dev/perennial/internal/credential"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
)

// A node with 10,000 further certificate files: the look and the judgement.
func BenchmarkTenThousandFiles(b *testing.B) {
	n := testnode.New(b, testnode.Options{})
	key := n.Sign(nil, testnode.Leaf{Name: "key"}).Key
	for i := range 10_000 {
		p := n.SignKey(n.CAs["ca"], key, testnode.Leaf{Name: fmt.Sprintf("client-%d", i)})
		n.WriteCert(fmt.Sprintf("%s/many/%03d/%05d.crt", pki, i/100, i), p.Cert)
	}
	scope := fact.Scope{Root: n.Root, KubernetesDir: "/etc/kubernetes"}
	b.ReportAllocs()
	for b.Loop() {
		rec, l := source.Survey(context.Background(), scope, source.Options{})
		findings, _ := credential.Judge(l, rec.Facts)
		if len(findings) < 10_000 {
			b.Fatalf("only %d findings", len(findings))
		}
	}
}

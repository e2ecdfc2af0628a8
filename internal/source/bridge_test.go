// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/testnode"
)

// administered is an API server with or without a guard, and a kubeconfig for it
// on the machine.
func administered(m *machine, guard bool) layout.Want {
	m.t.Helper()
	n := testnode.New(m.t, testnode.Options{Worker: true})
	start, end := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	ca := n.Sign(nil, testnode.Leaf{Name: "kubernetes", Start: start, End: end, Change: func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}})
	serving := n.Sign(ca, testnode.Leaf{Name: "kube-apiserver", DNS: []string{"kubernetes"}, Start: start, End: end, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	admin := n.Sign(ca, testnode.Leaf{Name: "kubernetes-admin", Start: start, End: end, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !guard || !strings.HasSuffix(r.URL.Path, kube.GuardName) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
			return
		}
		fmt.Fprintf(w, `{"metadata":{"name":%q,"creationTimestamp":"2026-11-01T00:00:00Z"}}`, kube.GuardName)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{serving.Cert.Raw}, PrivateKey: serving.Key}}}
	server.StartTLS()
	m.t.Cleanup(server.Close)
	m.put("etc/kubernetes/super-admin.conf", string(n.Kubeconfig(ca.Cert, admin, "kubernetes-super-admin")))
	return layout.Want{Verb: layout.LookGuard, Path: "/etc/kubernetes/super-admin.conf", Endpoint: server.Listener.Addr().String(), Local: true}
}

// A guard that is there and cannot be proven is there and not active.
func TestGuard(t *testing.T) {
	for _, guard := range []bool{false, true} {
		m := newMachine(t)
		facts, unseen := look(t.Context(), named(t, "bridge"), m.scope(administered(m, guard)))
		want := fact.Guard{Way: "policy", Place: kube.GuardName, Present: guard}
		if len(unseen) != 0 || len(facts) != 1 || facts[0] != want {
			t.Errorf("with a guard %v: %+v %+v", guard, facts, unseen)
		}
	}
}

// An API server that does not answer is no reason to believe in a guard, unless a
// handover is under way.
func TestGuardUnseen(t *testing.T) {
	m := newMachine(t)
	want := administered(m, true)
	want.Endpoint = "127.0.0.1:1"
	for _, required := range []bool{false, true} {
		want.Required = required
		if _, unseen := look(t.Context(), named(t, "bridge"), m.scope(want)); len(unseen) == 1 != required {
			t.Errorf("required %v: %+v", required, unseen)
		}
	}
}

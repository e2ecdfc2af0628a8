// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

// undoes takes the last plan back and proves it.
func (n *node) undoes(of plan.Plan) {
	n.t.Helper()
	plans := n.journal.Plans()
	replaced, err := execute.Replaced(n.t.Context(), execute.Machine{Disk: n.disk}, plans[len(plans)-1])
	if err != nil {
		n.t.Fatal(err)
	}
	p, err := plan.ForUndo(of, replaced, n.look(), "undo-"+of.ID, n.now)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, s := range p.Steps {
		if s.Verb != plan.Restore {
			n.t.Errorf("step %d: %s", s.Number, s.Title)
		}
	}
	if out, err := n.run(p); err != nil || out.Result != journal.Done {
		n.t.Fatalf("%+v, %v", out, err)
	}
}

// What was made is taken away again, and nothing is restarted into its absence;
// copies, requests and a turned kubelet.conf are what they were.
func TestUndoOfWhatWasMade(t *testing.T) {
	n := newNode(t, testnode.Options{})
	n.scope.RequestDir = requests
	n.Write(requests+"/README", 0o600, nil)
	n.Write("/root/.kube/config", 0o600, n.Read(adminConf))
	n.embed(nodeLeaf(n))
	n.rotated(testnode.Leaf{Name: "system:node:cp1", Organization: "system:nodes", End: later.AddDate(1, 0, 0)})
	n.Remove(pkiDir + "/front-proxy-ca.key")
	n.Remove(pkiDir + "/etcd/peer.crt")
	n.Remove(pkiDir + "/etcd/peer.key")
	n.Remove("/etc/kubernetes/scheduler.conf")
	before := map[string][]byte{}
	for _, name := range []string{adminConf, "/root/.kube/config", kubeletConf} {
		before[name] = n.Read(name)
	}
	p := n.does(plan.RenewOptions{Create: true, Names: []string{"admin.conf", "etcd-peer", "front-proxy-client", "kubelet.conf", "scheduler.conf"}},
		"renew admin.conf", "create etcd-peer", "request front-proxy-client", "turn kubelet.conf", "create scheduler.conf", "refresh admin.conf@/root/.kube/config")
	n.undoes(p)
	for name, data := range before {
		if !bytes.Equal(n.Read(name), data) {
			t.Errorf("%s is not what it was", name)
		}
	}
	for _, name := range []string{pkiDir + "/etcd/peer.crt", pkiDir + "/etcd/peer.key", "/etc/kubernetes/scheduler.conf", requests + "/front-proxy-client.csr"} {
		if _, err := os.Stat(n.Path(name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/timeline"
)

var seen = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)

func saved(t testing.TB, name string) timeline.Timeline {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "report", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	tl, err := timeline.Read(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

func render(t testing.TB, o Options, all ...timeline.Timeline) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, all, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// credential is a certificate in a file and on a port.
func credential(node, name string, from, end time.Time) finding.Finding {
	return finding.Finding{
		Code: finding.CertificateExpires, ID: fact.NodeID(node, name), End: finding.At(end), Keeper: finding.KeeperPerson, Class: finding.Renewed,
		Life: finding.Life{Start: from, End: end}, Effect: "whoever needs it is refused", Fix: "sudo perennial renew " + name,
		Evidence: finding.Evidence{Path: "/etc/kubernetes/pki/" + name + ".crt", Mode: "0600", Owner: "0:0", IssuerID: fact.NodeID(node, "ca"),
			Certificate: &finding.Certificate{Fingerprint: fmt.Sprintf("sha256:%064x", len(name)*7919), Serial: fmt.Sprintf("%x", 0x3f2a5be100+len(name)),
				Subject: fact.Text("CN=" + name), Issuer: "CN=kubernetes", SANs: []fact.Text{fact.Text("dns:" + node), "ip:10.0.0.1"},
				Usages: []string{"digitalSignature", "serverAuth"}, Key: "ECDSA 256", NotBefore: from, NotAfter: end}},
	}
}

var names = []string{"apiserver", "apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-client", "etcd-server", "etcd-peer",
	"etcd-healthcheck-client", "admin.conf", "controller-manager.conf", "scheduler.conf"}

// node is a control-plane node that was made at a date.
func node(name string, made time.Time) []finding.Finding {
	var fs []finding.Finding
	for _, c := range names {
		fs = append(fs, credential(name, c, made, made.AddDate(1, 0, 0)))
	}
	loopback := credential(name, "apiserver-loopback", made, made.AddDate(1, 2, 3))
	loopback.Code, loopback.Keeper, loopback.Fix = finding.LoopbackExpires, finding.KeeperRestart, "sudo perennial restart kube-apiserver"
	loopback.Evidence.Path, loopback.Evidence.Endpoint = "", "127.0.0.1:6443"
	kubelet := credential(name, "kubelet.conf", made, made.AddDate(1, 0, 0))
	kubelet.Class, kubelet.Keeper = finding.SelfRenewed, finding.KeeperKubelet
	fs = append(fs, loopback, kubelet)
	for _, c := range []string{"ca", "etcd-ca", "front-proxy-ca"} {
		f := credential(name, c, made, made.AddDate(10, 0, 0))
		f.Code, f.Class, f.Evidence.IssuerID = finding.CAExpires, finding.TrustAnchor, f.ID
		fs = append(fs, f)
	}
	return fs
}

// stale was renewed on disk, and its port serves the old one.
func stale(node, name string, old, fresh time.Time) finding.Finding {
	f := credential(node, name, fresh.AddDate(-1, 0, 0), fresh)
	f.Code, f.Class, f.End, f.Fix = finding.ServedCertificateStale, finding.Lingering, finding.At(old), "sudo perennial restart "+name
	f.Evidence.Served = []finding.Served{{Endpoint: "10.0.0.1:2379", Fingerprint: "sha256:" + strings.Repeat("ab", 32), NotAfter: old}}
	f.Reason = "the process has not taken up the file"
	return f
}

func support(version string, end time.Time) finding.Finding {
	return finding.Finding{Code: finding.SupportEnds, ID: "cp1/release", End: finding.End{Date: end, Basis: finding.Planned}, Class: finding.Notice, Keeper: finding.KeeperOwner,
		Effect: "no fixes after that day, security fixes included", Evidence: finding.Evidence{Version: fact.Text(version)}, Fix: "kubeadm upgrade plan v1.36"}
}

func envelope(node string) timeline.Envelope {
	return timeline.Envelope{ObservedAt: seen, Tool: "perennial v0.1.0", Scope: timeline.Scope{Node: fact.Text(node), Root: "/", KubernetesDir: "/etc/kubernetes",
		Counts: timeline.Counts{Files: 27, Certificates: 19, Endpoints: 5, Processes: 5}}}
}

// showcase is three nodes, of which each has another trouble.
func showcase() timeline.Timeline {
	fs := node("cp1", seen.AddDate(0, -9, 1))
	fs = append(fs, stale("cp1", "etcd-server", seen.AddDate(0, 0, 40), seen.AddDate(0, 11, 20)))
	fs = append(fs, node("cp2", seen.AddDate(0, -3, -4))...)
	broken := credential("cp2", "front-proxy-client", seen, seen.AddDate(1, 0, 0))
	broken.Code, broken.Class, broken.End = finding.KeyMismatch, finding.Fault, finding.Now()
	broken.Reason, broken.Fix = "front-proxy-client.key does not belong to front-proxy-client.crt", "sudo perennial undo 20261120-1"
	fs = append(fs, broken)
	fs = append(fs, node("cp3", seen.AddDate(-1, 0, -6))...)
	fs = append(fs, support("v1.35.2", time.Date(2027, 2, 28, 23, 59, 59, 0, time.UTC)))
	p := policy.Default()
	p.Accepted = []policy.Acceptance{{Code: finding.CertificateExpires, ID: "cp3/etcd-healthcheck-client", Reason: "nothing uses it", Until: seen.AddDate(0, 4, 0)}}
	env := envelope("cp1")
	env.Cluster = "production"
	us := []fact.Unseen{{Source: "wire", What: "10.0.0.3:10259", Why: fact.Unreachable, Detail: "connection refused", Hint: "is the scheduler running?"}}
	return timeline.Build(fs, us, p, seen, env)
}

// calm is a node on which nothing is due.
func calm(cluster string) timeline.Timeline {
	env := envelope("cp1")
	env.Cluster = fact.Text(cluster)
	return timeline.Build(append(node("cp1", seen.AddDate(0, -1, 0)), support("v1.36.1", seen.AddDate(1, 1, 0))), nil, policy.Default(), seen, env)
}

// onTheWay is a cluster before an upgrade of five hops.
func onTheWay(t testing.TB) timeline.Timeline {
	t.Helper()
	cal, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	var fs []finding.Finding
	add := func(n int, version string, impact finding.Impact, apiVersion, kind string) {
		for i := range n {
			o := fact.Object{APIVersion: fact.Text(apiVersion), Type: fact.Text(kind), Namespace: "shop", Name: fact.Text(fmt.Sprintf("%s-%d", strings.ToLower(kind), i)), File: "charts/" + kind + ".yaml", Line: 12*i + 1}
			f := finding.Finding{Code: finding.APIRemoved, ID: fact.ObjectID(o), Class: finding.Fault, Impact: impact, Keeper: finding.KeeperPerson, End: finding.End{Version: version, Basis: finding.Measured},
				Object: &finding.Object{APIVersion: o.APIVersion, Kind: o.Type, Namespace: o.Namespace, Name: o.Name}, File: o.File, Line: o.Line, RemovedIn: version,
				Effect: "whoever applies it gets \"no matches for kind " + kind + "\"", Fix: "- apiVersion: " + apiVersion + "\n+ apiVersion: batch/v1",
				Rule: &finding.Rule{Origin: finding.Measured, Citation: "k8s.io/kubernetes@v1.25.0:api/openapi-spec/swagger.json"}}
			if impact == finding.Changes || impact == finding.Hint {
				f.Class = finding.Notice
			}
			fs = append(fs, f)
		}
	}
	add(7, "1.33", finding.Changes, "v1", "Endpoints")
	add(1, "1.35", finding.Blocks, "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration")
	add(4, "1.35", finding.Breaks, "networking.k8s.io/v1beta1", "IPAddress")
	add(2, "1.36", finding.Hint, "flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema")
	add(12, "1.37", finding.Breaks, "resource.k8s.io/v1beta1", "ResourceClaim")
	env := envelope("cp1")
	env.Scope.Counts.Objects, env.Scope.Server, env.Cluster = 4120, "https://10.0.0.1:6443", "shop"
	env.Upgrade = &timeline.Way{Way: rules.Way{From: 32, To: 37}, FromBy: "the API server runs v1.32.9", Calendar: cal}
	return timeline.Build(append(fs, node("cp1", seen.AddDate(0, -2, 0))...), nil, policy.Default(), seen, env)
}

// many is a timeline of n items, the same ones each time.
func many(n int) timeline.Timeline {
	r := rand.New(rand.NewPCG(1, 2))
	fs := make([]finding.Finding, 0, n)
	for i := range n {
		end := seen.Add(time.Duration(r.Int64N(int64(5*yearLong))) - 40*dayLong)
		f := credential(fmt.Sprintf("cp%d", i%40), fmt.Sprintf("%s-%d", names[r.IntN(len(names))], i), end.AddDate(-1, 0, 0), end)
		f.Evidence.Certificate.Fingerprint = fmt.Sprintf("sha256:%064x", i)
		if i%11 == 0 {
			f.Class, f.Code = finding.Notice, finding.SigningKey
		}
		fs = append(fs, f)
	}
	return timeline.Build(fs, nil, policy.Default(), seen, envelope("cp1"))
}

// hostileNames are what a certificate, a file name or an object may hold.
var hostileNames = []string{
	"<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "\"><svg onload=alert(3)>", "' onmouseover='alert(4)' x='",
	"</style><style>*{display:none}</style>", "</title><script>alert(5)</script>", "--><script>alert(6)</script><!--", "</summary></details><iframe src=javascript:alert(7)>",
	"javascript:alert(8)", "{{.Script}} ${alert(9)} `alert(10)`", "\x1b[31mred\x1b]0;title\a", "\u202egpj.exe\u2066\u2069", "\u2028\u2029\x7f\x80\u0085", "a\u200bb\ufeffc\u00ad",
	"\xff\xfe no UTF-8 \xc3\x28", "\U000e0041\U000e007f", "<base href=//evil.example>", "<link rel=stylesheet href=//evil.example/x.css>", "<form action=//evil.example><button>go</button></form>", "",
}

// hostile is a timeline in which every text holds s.
func hostile(s string) timeline.Timeline {
	text, end := fact.Text(s), seen.AddDate(0, 5, 0)
	e := finding.Evidence{Path: s, Slot: text, Endpoint: s, Mode: s, Owner: s, IssuerID: fact.ID(s), Consumers: []string{s}, Version: text, Notes: []fact.Text{text},
		Served:      []finding.Served{{Endpoint: s, SNI: text, Fingerprint: s, NotAfter: end.AddDate(1, 0, 0)}},
		Identity:    []finding.Identity{{Component: s, Grade: finding.Grade(s), Because: s}},
		Certificate: &finding.Certificate{Fingerprint: s, Serial: s, Subject: text, Issuer: text, SANs: []fact.Text{text}, Usages: []string{s}, Key: s, NotBefore: seen, NotAfter: end}}
	var fs []finding.Finding
	for n, code := range []finding.Code{finding.CertificateExpires, finding.ServedCertificateStale, finding.SupportEnds, finding.Code(s)} {
		fs = append(fs, finding.Finding{Code: code, ID: fact.ID(s + "/" + s), End: finding.At(end), Effect: s, Reason: s, Fix: s, Keeper: finding.Keeper(s),
			Class: []finding.Class{finding.Renewed, finding.Lingering, finding.Notice, finding.Fault}[n], Life: finding.Life{Start: seen, End: end}, Evidence: e,
			Impact: finding.Impact(s), File: s, Line: n, Rule: &finding.Rule{Origin: finding.Basis(s), Citation: s}, Object: &finding.Object{APIVersion: text, Kind: text, Namespace: text, Name: text}})
	}
	p := policy.Default()
	p.Accepted = []policy.Acceptance{{Code: finding.SupportEnds, ID: "*", Reason: s, Until: end}}
	tl := timeline.Build(fs, []fact.Unseen{{Source: s, What: text, Why: fact.Why(s), Detail: text, Hint: text}}, p, seen,
		timeline.Envelope{Cluster: text, Tool: s, Note: text, ObservedAt: seen, Scope: timeline.Scope{Node: text, Root: s, KubernetesDir: s, Endpoints: []string{s}, Documents: []string{s}, Server: s}})
	tl.Headline, tl.Verdict = s, policy.Verdict(s)
	tl.Upgrade = &timeline.Upgrade{From: s, FromBy: s, To: s, FirstBreak: s, Notes: []string{s}, Hops: []timeline.Hop{{To: s, Blocks: 1, Notices: 2}}}
	return tl
}

// torture is the one certificate with all that a certificate can hold.
func torture() timeline.Timeline {
	tl := hostile(strings.Join(hostileNames, " "))
	sans := make([]fact.Text, 10_000)
	for i := range sans {
		sans[i] = fact.Text(fmt.Sprintf("dns:host-%d\x1b[2J<b>.example", i))
	}
	c := tl.Items[0].Evidence[0].Certificate
	c.SANs, c.Subject = sans, fact.Text("O="+strings.Repeat("\u202e<i>organisation", 64<<10/16))
	return tl
}

// served is what a served page says beyond its timelines.
func served(version string) *Live {
	return &Live{Version: version, Every: time.Minute,
		History: []Change{{ID: "20261101-1", Begun: seen.AddDate(0, 0, -21), What: []string{"renew cp1/admin.conf"}, State: "done"},
			{ID: "20261120-1", Begun: seen.AddDate(0, 0, -2), What: []string{"renew cp1/apiserver", "replace the API server, without downtime"}, State: "done"}},
		Agent: &Agent{Says: "cp1: the agent changes what is due; it looked at 2026-11-22 10:25:00 UTC and does every 5m.",
			Next: []Next{{What: "renew the scheduler's client certificate", ID: "cp1/scheduler.conf", At: seen.AddDate(0, 1, 2), End: seen.AddDate(0, 3, 0), Why: "it is not due before"},
				{What: "replace the API server", ID: "cp1/apiserver-loopback", End: seen.AddDate(0, 5, 0), Why: "no window is open before its end"}},
			Person: []Person{{What: "CAExpires", ID: "cp1/ca", Why: "nobody but a person replaces a CA", Do: "perennial explain CAExpires"}}}}
}

// servedHostile is all that a served page says, of hostile names.
func servedHostile(version string) *Live {
	s := strings.Join(hostileNames, " ")
	return &Live{Version: version, Every: time.Minute, Silences: []string{s}, History: []Change{{ID: s, Begun: seen, What: []string{s}, State: s}},
		Agent: &Agent{Says: s, Stops: s, Doing: s, Next: []Next{{s, s, seen, seen, s}}, Person: []Person{{s, s, s, s}}}}
}

// pages are those that a browser is shown, by name.
func pages(t testing.TB) map[string]func() string {
	later := showcase()
	later.Headline = "Everything is fine now."
	later.Items = later.Items[:len(later.Items)-3]
	failed := served("3")
	failed.Failed = "reading /etc/kubernetes/pki/ca.crt: permission denied"
	return map[string]func() string{
		"showcase": func() string { return render(t, Options{}, showcase()) },
		"saved":    func() string { return render(t, Options{}, saved(t, "timeline.json")) },
		"upgrade":  func() string { return render(t, Options{}, onTheWay(t)) },
		"clusters": func() string { return render(t, Options{}, showcase(), calm("staging"), onTheWay(t)) },
		"calm":     func() string { return render(t, Options{}, calm("edge-7")) },
		"nothing":  func() string { return render(t, Options{}) },
		"many":     func() string { return render(t, Options{}, many(5000)) },
		"hostile":  func() string { return render(t, Options{}, torture()) },
		"served-1": func() string { return render(t, Options{Live: served("1")}, showcase()) },
		"served-2": func() string { return render(t, Options{Live: served("2")}, later) },
		"served-3": func() string { return render(t, Options{Live: failed}, later) },

		"served-hostile": func() string { return render(t, Options{Live: servedHostile("hostile")}, torture()) },
	}
}

// TestPagesForABrowser writes the pages for the tests that show them to a browser,
// which are in another module (hack/browser).
func TestPagesForABrowser(t *testing.T) {
	dir := os.Getenv("PERENNIAL_PAGES")
	if dir == "" {
		t.Skip("PERENNIAL_PAGES names no directory to write to")
	}
	for name, page := range pages(t) {
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(page()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

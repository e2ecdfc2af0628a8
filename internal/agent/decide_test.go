// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/schedule"
	"perennial.dev/perennial/internal/timeline"
)

var noon = time.Date(2027, 8, 11, 12, 0, 0, 0, time.UTC) // a Wednesday

// expires is a certificate that is due some days before, or after, noon.
func expires(name string, due float64) finding.Finding {
	end := noon.Add(time.Duration(due*24)*time.Hour + 90*day)
	return finding.Finding{Code: finding.CertificateExpires, ID: fact.NodeID(madeNode, name), End: finding.At(end), Class: finding.Renewed, Keeper: finding.KeeperPerson,
		Life: finding.Life{Start: end.Add(-365 * day), End: end}, Fix: "perennial renew " + name}
}

func loopback(due float64) finding.Finding {
	f := expires("apiserver-loopback", due)
	f.Code, f.Keeper = finding.LoopbackExpires, finding.KeeperRestart
	return f
}

func with(f finding.Finding, change func(*finding.Finding)) finding.Finding {
	change(&f)
	return f
}

// decided writes a decision in one line: what is done, then what comes, then the
// people.
func decided(d Decision) string {
	var parts []string
	if d.Work != nil {
		work := "now " + d.what()
		if d.Work.InPlace {
			work += " in place"
		}
		parts = append(parts, work)
	}
	for _, n := range d.Next {
		if n.At.IsZero() {
			parts = append(parts, fmt.Sprintf("never %s (%s)", n.What, n.Why))
		} else if n.At.After(noon) || n.Why != "" {
			parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%s %s (%s)", n.At.Format("01-02T15:04"), n.What, n.Why), " ()"))
		}
	}
	for _, p := range d.Person {
		parts = append(parts, fmt.Sprintf("person %s %s", p.ID, p.Code))
	}
	return strings.Join(parts, "; ")
}

func TestDecide(t *testing.T) {
	sunday := sundays(t)
	for name, c := range map[string]struct {
		found  []finding.Finding
		means  func(map[fact.ID]Means)
		change func(*Situation)
		want   string
	}{
		"nothing":             {},
		"later":               {found: []finding.Finding{expires("apiserver", 10)}, want: "08-21T12:00 renew cp1/apiserver"},
		"now":                 {found: []finding.Finding{expires("apiserver", -1)}, want: "now renew apiserver"},
		"several at once":     {found: []finding.Finding{expires("b", -1), expires("a", 0), loopback(-2)}, want: "now renew a, b"},
		"one after the other": {found: []finding.Finding{loopback(-2)}, want: "now restart kube-apiserver"},
		"what would follow soon goes along": {found: []finding.Finding{expires("a", -1), expires("b", 4), expires("c", 5)},
			want: "now renew a, b; 08-15T12:00 renew cp1/b; 08-16T12:00 renew cp1/c"},
		"it has ended": {found: []finding.Finding{expires("a", -100)}, want: "now renew a"},

		// What only a person can do, and what is nobody's matter here.
		"a CA":                       {found: []finding.Finding{with(expires("ca", 0), func(f *finding.Finding) { f.Code, f.Class = finding.CAExpires, finding.TrustAnchor })}, want: "person cp1/ca CAExpires"},
		"a CA that lives":            {found: []finding.Finding{with(expires("ca", 3000), func(f *finding.Finding) { f.Code, f.Class = finding.CAExpires, finding.TrustAnchor })}},
		"names that are not covered": {found: []finding.Finding{{Code: finding.SANMissing, ID: "cp1/apiserver", End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson}}, want: "person cp1/apiserver SANMissing"},
		"a broken file":              {found: []finding.Finding{{Code: finding.FileMalformed, ID: "cp1/apiserver", End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson}}, want: "person cp1/apiserver FileMalformed"},
		"a weakness":                 {found: []finding.Finding{{Code: finding.KeyReadable, ID: "cp1/ca", Class: finding.Weakness, Keeper: finding.KeeperPerson}}},
		"another node's":             {found: []finding.Finding{with(expires("etcd-server", -1), func(f *finding.Finding) { f.ID, f.Keeper = "cp2/etcd-server", finding.KeeperNode })}},
		"a kubelet that renews itself": {found: []finding.Finding{with(expires("kubelet.conf", 50), func(f *finding.Finding) { f.Class, f.Keeper = finding.SelfRenewed, finding.KeeperKubelet })},
			means: cannot("kubelet.conf", "the kubelet renews it itself")},
		"a kubelet that should have": {found: []finding.Finding{with(expires("kubelet.conf", -89), func(f *finding.Finding) { f.Class, f.Keeper = finding.SelfRenewed, finding.KeeperKubelet })},
			means: cannot("kubelet.conf", "the kubelet renews it itself"), want: "person cp1/kubelet.conf CertificateExpires"},
		"a kubelet that no longer can": {found: []finding.Finding{with(expires("kubelet.conf", -91), func(f *finding.Finding) { f.Class, f.Keeper = finding.SelfRenewed, finding.KeeperKubelet })},
			want: "now renew kubelet.conf"},
		"an external CA, later": {found: []finding.Finding{expires("apiserver", 10)}, means: cannot("apiserver", "an external CA must sign it"),
			want: "never renew cp1/apiserver (an external CA must sign it)"},
		"an external CA": {found: []finding.Finding{expires("apiserver", 0)}, means: cannot("apiserver", "an external CA must sign it"),
			want: "never renew cp1/apiserver (an external CA must sign it); person cp1/apiserver CertificateExpires"},
		"a CA that ends first": {found: []finding.Finding{expires("apiserver", -1)}, means: func(m map[fact.ID]Means) { m["cp1/apiserver"] = Means{Until: noon.Add(90 * day)} },
			want: "never renew cp1/apiserver (a new one would hardly end later: its CA ends, or it is due for nearly its whole life); person cp1/apiserver CertificateExpires"},
		"a file that holds several": {found: []finding.Finding{with(expires("apiserver#2", -1), func(f *finding.Finding) { f.ID = "cp1/other" })}, means: func(m map[fact.ID]Means) { delete(m, "cp1/other") },
			want: "person cp1/other CertificateExpires"},
		"what its owner lives with": {found: []finding.Finding{expires("apiserver", -1)}, change: accepted("cp1/apiserver")},
		"an opt-out":                {found: []finding.Finding{expires("apiserver", -1), expires("etcd-peer", -1)}, change: func(s *Situation) { s.Agent.Leave = []string{"*/etcd-*"} }, want: "now renew apiserver; never renew cp1/etcd-peer (the settings leave it alone)"},

		// What was replaced and is in use still.
		"the identity of before": {found: []finding.Finding{stale(finding.ClientIdentityStale, -2*time.Hour)}, want: "now restart kube-controller-manager"},
		"one of a moment ago":    {found: []finding.Finding{stale(finding.ClientIdentityStale, -time.Minute)}, want: "08-11T12:59 restart kube-controller-manager"},
		"what etcd serves": {found: []finding.Finding{with(stale(finding.ServedCertificateStale, -2*time.Hour), func(f *finding.Finding) { f.ID, f.Evidence.Consumers = "cp1/etcd-server", []string{layout.Etcd} })},
			means: func(m map[fact.ID]Means) { m["cp1/etcd"] = Means{Cannot: "etcd is not restarted while nobody watches"} },
			want:  "never restart etcd (etcd is not restarted while nobody watches); person cp1/etcd-server ServedCertificateStale"},
		"what something unknown serves": {found: []finding.Finding{with(stale(finding.ServedCertificateStale, -2*time.Hour), func(f *finding.Finding) { f.Evidence.Consumers = []string{"nginx"} })},
			want: "person cp1/controller-manager.conf ServedCertificateStale"},

		// Windows, permissions, limits.
		"a window":                  {found: []finding.Finding{expires("apiserver", -1)}, change: func(s *Situation) { s.Agent.When.Calendar = sunday }, want: "08-15T02:00 renew cp1/apiserver (the next window opens then)"},
		"no window is early enough": {found: []finding.Finding{expires("apiserver", -89)}, change: func(s *Situation) { s.Agent.When.Calendar = sunday; s.Agent.When.Reserve = 3 * day }, want: "now renew apiserver"},
		"and outside it is not allowed": {found: []finding.Finding{expires("apiserver", -89)}, change: func(s *Situation) { s.Agent.When.Calendar = sunday; s.Agent.When.Reserve = -1 },
			want: "08-15T02:00 renew cp1/apiserver (the next window opens then); person cp1/apiserver TooLate"},
		"what ends in the reserve with others": {found: []finding.Finding{expires("a", -88), expires("b", -87.97), expires("c", -80)},
			change: func(s *Situation) { s.Agent.When.Calendar = sunday; s.Agent.When.Reserve = 2 * day },
			want:   "now renew a, b; 08-11T13:00 renew cp1/b (no window opens early enough before the end); 08-15T02:00 renew cp1/c (the next window opens then)"},
		"the limit": {found: []finding.Finding{expires("apiserver", -1)}, change: func(s *Situation) { s.Agent.When.PerDay = 1; s.Began = []time.Time{noon.Add(-time.Hour)} },
			want: "08-12T11:00 renew cp1/apiserver (1 changes within 24 hours are the limit)"},
		"a restart is forbidden": {found: []finding.Finding{expires("scheduler.conf", -1)}, change: func(s *Situation) { s.Agent.Restart.Others = policy.Never },
			want: "never renew cp1/scheduler.conf (the settings never allow to restart kube-scheduler); person cp1/scheduler.conf RestartForbidden"},
		"a restart is forbidden, later": {found: []finding.Finding{expires("scheduler.conf", 1)}, change: func(s *Situation) { s.Agent.Restart.Others = policy.Never },
			want: "never renew cp1/scheduler.conf (the settings never allow to restart kube-scheduler)"},
		"a restart in a window, and there is none": {found: []finding.Finding{expires("scheduler.conf", -1)}, change: func(s *Situation) { s.Agent.Restart.Others = policy.InWindow },
			want: "never renew cp1/scheduler.conf (kube-scheduler may be restarted in a maintenance window only, and the settings have none); person cp1/scheduler.conf RestartForbidden"},
		"a restart in a window, and none is early enough": {found: []finding.Finding{expires("scheduler.conf", -89)},
			change: func(s *Situation) {
				s.Agent.Restart.Others, s.Agent.When.Calendar, s.Agent.When.Reserve = policy.InWindow, sunday, 3*day
			},
			want: "08-15T02:00 renew cp1/scheduler.conf (the next window opens then); person cp1/scheduler.conf TooLate"},
		"the API server, in place where a window is open": {found: []finding.Finding{loopback(-1)},
			change: func(s *Situation) {
				s.Agent.Restart.APIServer = policy.InWindow
				s.Agent.When.Windows = []schedule.Window{{Start: schedule.Clock{Hour: 11}, Length: 2 * time.Hour, Zone: time.UTC}}
			},
			want: "now restart kube-apiserver in place"},
		"the API server, where none is": {found: []finding.Finding{loopback(-1)}, change: func(s *Situation) { s.Agent.Restart.APIServer = policy.InWindow }, want: "now restart kube-apiserver"},

		// What holds everything up, and what a person has said.
		"it only looks": {found: []finding.Finding{expires("apiserver", -1)}, change: func(s *Situation) { s.Agent.Act = false },
			want: "never renew cp1/apiserver (it only looks: its settings do not say act: true)"},
		"stopped": {found: []finding.Finding{expires("apiserver", -1)}, change: func(s *Situation) { s.Blocks = []Block{{Code: LineStopped, Why: "a plan failed", Person: true}} },
			want: "08-11T12:00 renew cp1/apiserver (a plan failed); person cp1/agent LineStopped"},
		"refused a moment ago": {found: []finding.Finding{expires("apiserver", -1), loopback(-1)}, change: refusedRenewal(Busy, time.Minute),
			want: "now restart kube-apiserver; 08-11T12:05 renew cp1/apiserver (another program)"},
		"refused for too long": {found: []finding.Finding{expires("apiserver", -1)}, change: refusedRenewal(Busy, 2*time.Hour),
			want: "08-11T12:05 renew cp1/apiserver (another program); person cp1/renew Busy"},
		"refused, and it ends": {found: []finding.Finding{expires("apiserver", -89.97)}, change: refusedRenewal(Busy, 31*time.Minute),
			want: "08-11T12:05 renew cp1/apiserver (another program); person cp1/renew Busy"},
		"approved": {found: []finding.Finding{expires("apiserver", -1), expires("etcd-peer", 20)},
			change: func(s *Situation) {
				s.Agent.When.Calendar = sunday
				s.Approval = approval("apiserver", "cp1/etcd-peer")
			}, want: "now renew apiserver, etcd-peer in place"},
		"all is approved": {found: []finding.Finding{expires("apiserver", -1), expires("etcd-peer", 20)},
			change: func(s *Situation) { s.Agent.When.Calendar = sunday; s.Approval = approval() }, want: "now renew apiserver in place; 09-05T02:00 renew cp1/etcd-peer (the next window opens then)"},
		"approved and done": {found: []finding.Finding{expires("apiserver", -1)},
			change: func(s *Situation) {
				s.Agent.When.Calendar = sunday
				s.Approval = approval()
				s.Approval.Used = []fact.ID{"cp1/apiserver"}
			}, want: "08-15T02:00 renew cp1/apiserver (the next window opens then)"},
		"approved long ago": {found: []finding.Finding{expires("apiserver", -1)},
			change: func(s *Situation) { s.Agent.When.Calendar = sunday; s.Approval = approval(); s.Approval.Until = noon }, want: "08-15T02:00 renew cp1/apiserver (the next window opens then)"},
		"an approval is no cure": {found: []finding.Finding{expires("apiserver", -1)}, means: cannot("apiserver", "an external CA must sign it"), change: func(s *Situation) { s.Approval = approval("apiserver") },
			want: "never renew cp1/apiserver (an external CA must sign it); person cp1/apiserver CertificateExpires"},
		"an approval does not lift a stop": {found: []finding.Finding{expires("apiserver", -1)}, change: func(s *Situation) {
			s.Approval = approval()
			s.Blocks = []Block{{Code: LineStopped, Why: "a plan failed", Person: true}}
		},
			want: "08-11T12:00 renew cp1/apiserver (a plan failed); person cp1/agent LineStopped"},
		"what was refused since is approved": {found: []finding.Finding{loopback(-1)}, change: func(s *Situation) {
			s.Approval = approval()
			s.Refusals = map[string]Refusal{layout.APIServer: {Code: HandoverImpossible, Why: "no room", Since: noon.Add(-time.Hour), Last: noon.Add(-2 * time.Minute), Again: noon.Add(time.Hour)}}
		}, want: "now restart kube-apiserver in place; person cp1/kube-apiserver HandoverImpossible"},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy.Default()
			p.Agent.Act, p.Agent.When = true, schedule.Rules{}
			s := Situation{Now: noon, Agent: p.Agent, Look: Look{Node: madeNode, Means: map[fact.ID]Means{}}}
			for _, f := range c.found {
				s.Look.Means[f.ID] = Means{}
			}
			s.Look.Means["cp1/scheduler.conf"] = Means{Restarts: []string{layout.Scheduler}}
			for _, component := range Restartable {
				s.Look.Means[fact.NodeID(madeNode, component)] = Means{Restarts: []string{component}}
			}
			if c.means != nil {
				c.means(s.Look.Means)
			}
			s.Look.Timeline = timeline.Build(c.found, nil, p, noon, timeline.Envelope{ObservedAt: noon})
			if c.change != nil {
				c.change(&s)
			}
			if got := decided(Decide(s)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func cannot(name, why string) func(map[fact.ID]Means) {
	return func(m map[fact.ID]Means) { m[fact.NodeID(madeNode, name)] = Means{Cannot: why} }
}

func accepted(id fact.ID) func(*Situation) {
	return func(s *Situation) {
		items := slices.Clone(s.Look.Timeline.Items)
		for i := range items {
			if items[i].ID == id {
				items[i].Counts, items[i].Accepted = false, &timeline.Accepted{Reason: "known", Until: noon.Add(day)}
			}
		}
		s.Look.Timeline.Items = items
	}
}

func stale(code finding.Code, since time.Duration) finding.Finding {
	return finding.Finding{Code: code, ID: "cp1/controller-manager.conf", Class: finding.Lingering, Keeper: finding.KeeperRestart,
		Evidence: finding.Evidence{Certificate: &finding.Certificate{NotBefore: noon.Add(since)}, Identity: []finding.Identity{{Component: layout.ControllerManager, Grade: finding.Seen}}}}
}

func refusedRenewal(code Code, since time.Duration) func(*Situation) {
	return func(s *Situation) {
		s.Refusals = map[string]Refusal{"renew": {Code: code, Why: "another program", Since: noon.Add(-since), Last: noon, Again: noon.Add(5 * time.Minute), Tries: 1}}
	}
}

func approval(names ...string) Approval {
	return Approval{At: noon.Add(-time.Minute), Until: noon.Add(time.Hour), IDs: names}
}

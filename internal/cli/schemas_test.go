// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/cli"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/install"
	"perennial.dev/perennial/internal/kuberc"
	"perennial.dev/perennial/internal/schema"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/unit"
	"perennial.dev/perennial/internal/workload"
)

// The documents that tests make do not have every field; this compares all of them.
func TestSchemasNameEveryField(t *testing.T) {
	sets := schema.Sets{
		Open:     []reflect.Type{reflect.TypeFor[fact.Text]()},
		Narrower: []string{"checkpointadvice.manager"},
	}
	for kind, typ := range cli.Documents {
		s := schema.Read(t, kind)
		s.Fields(t, typ, schema.Required)
		sets.Compare(t, s, typ)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[checkpoint.Manager](), reflect.TypeFor[checkpoint.Answer](), reflect.TypeFor[kuberc.Level](), reflect.TypeFor[kuberc.Form](), reflect.TypeFor[install.Verb]()} {
		if !sets.Saw(typ) {
			t.Errorf("%s was not looked at", typ)
		}
	}
}

// printed is one call of a command with -o json, without that flag.
type printed struct {
	kind string
	args []string
	exit int // -1: any
	// elsewhere says why the command is not run here, and what holds what it prints.
	elsewhere string
}

// printing are calls of every command that prints documents, with what it prints.
func printing(t *testing.T) map[string][]printed {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const archive = "../checkpoint/testdata/containerd.tar.gz" // a kubelet's
	archives, _ := checkpoints(t, 50, 3)
	settings := file("config.yaml", "apiVersion: "+finding.APIVersion+"\nkind: Config\n")
	good := file("good.kuberc", beta+"aliases:\n- {name: getn, command: get, prependArgs: [nodes], appendArgs: [--, x], options: [{name: output, default: name}]}\n")
	bad := file("bad.kuberc", beta+"aliases:\n- {name: getn, command: gets}\ndefaults:\n- {command: delete, options: [{name: grace-period, default: \"0\"}]}\n")
	s := newSite(t)
	s.expect(0, nil, "renew", "admin.conf", "--yes")
	s.look(timeline.ExitNeedsPerson, nil, allDue[:strings.Index(allDue, "due:")])
	places := []string{"--kubernetes-dir", s.Path("/etc/kubernetes"), "--state", s.state}
	changing := append(slices.Clone(places), "--lock", s.lock, "--dry-run")
	plan := s.plans()[0]
	cluster := contexts(t, map[string]string{"old": smallCluster(t)})
	node := testnode.New(t, testnode.Options{Key: "ed25519"})
	prints := func(kind string, exit int, args ...string) printed {
		return printed{kind: kind, args: args, exit: exit}
	}
	all := map[string][]printed{
		"check": {
			prints("Timeline", 0, "--exit-zero", "--replay", "../report/testdata/timeline.json"),
			prints("Timeline", 0, "--exit-zero", "--root", node.Root, "--config", settings),
			prints("TimelineList", 0, "--exit-zero", "--replay", "../report/testdata/timelines.json"),
		},
		"releases":            {prints("Releases", 0), prints("Releases", 0, "--at", "2020-01-01")},
		"rules list":          {prints("Rules", 0), prints("Rules", 0, "gates")},
		"rules show":          {prints("Rules", 0, "batch/v1beta1/CronJob")},
		"history":             {prints("History", 0, places[2:]...), prints("History", 0, "--state", dir)},
		"history show":        {prints("History", 0, append([]string{plan}, places[2:]...)...)},
		"renew":               {prints("Plan", 0, append([]string{"--all"}, changing...)...)},
		"restart":             {{kind: "Plan", elsewhere: "it takes a component that runs: internal/e2e, and internal/report for every verb"}},
		"undo":                {prints("Plan", 0, append([]string{plan}, changing...)...)},
		"prepare podsecurity": {prints("Plan", 0, "--dry-run", "--kubeconfig", cluster, "--state", dir)},
		"prepare cronjobs":    {prints("Plan", 0, "--dry-run", "--kubeconfig", cluster, "--state", dir, "--controller-zone", "UTC")},
		"checkpoint prune":    {prints("Plan", 0, append([]string{"--dir", archives, "--keep", "1"}, changing...)...)},
		"checkpoint list":     {prints("CheckpointList", 0, "--dir", archives), prints("CheckpointList", 0, "--dir", t.TempDir())},
		"checkpoint inspect":  {prints("Checkpoint", 0, archive), prints("Checkpoint", 0, archive, "--memory")},
		"checkpoint verify":   {prints("CheckpointVerification", -1, archive)}, // it is about this machine
		"checkpoint restore":  {prints("CheckpointAdvice", 0, archive), prints("CheckpointAdvice", 0, archive, "--runtime", "cri-o")},
		"kuberc check":        {prints("KubercCheck", 0, good), prints("KubercCheck", timeline.ExitOverdue, bad), prints("KubercCheck", 0, "--exit-zero", bad)},
		"kuberc explain":      {prints("KubercExplanation", 0, "-f", good, "--", "kubectl", "getn", "cp1"), prints("KubercExplanation", 0, "--", "kubectl"), prints("KubercExplanation", 0, "-f", bad, "--", "kubectl", "nothing")},
		"agent status":        {prints("AgentStatus", -1, append(places, "--lock", s.lock, "--config", settings, "--identity", s.Path("/etc/perennial/agent.conf"))...)},
		"agent config check":  {prints("Config", 0, settings)},
		"agent uninstall":     {prints("Removal", 0, "--dry-run", "--root", t.TempDir())},
		"agent install":       {{kind: "Installation", elsewhere: "it takes a program that is root's"}},
	}
	if os.Geteuid() == 0 {
		all["agent install"] = installing(t, node)
	}
	return all
}

// installing is the installation on a made node, with a program that is root's own.
func installing(t *testing.T, n *testnode.Node) []printed {
	t.Helper()
	n.Write(install.Program, 0o755, nil)
	if err := os.Chmod(n.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(n.Path(unit.Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return []printed{{kind: "Installation", args: []string{"--dry-run", "--root", n.Root}}}
}

// TestEveryDocumentFollowsItsSchema walks all commands: one that takes -o json has to
// print a document whose schema is published, and nothing that it does not name.
func TestEveryDocumentFollowsItsSchema(t *testing.T) {
	all := printing(t)
	kinds := map[string]bool{}
	for _, name := range cli.Writing() {
		calls, is := all[name]
		if !is {
			t.Errorf("perennial %s takes -o json, and nothing here holds what it prints to a schema", name)
		}
		delete(all, name)
		for _, call := range calls {
			t.Run(name+" "+call.kind, func(t *testing.T) {
				kinds[call.kind] = true
				listed(t, name, call.kind)
				if call.elsewhere != "" {
					t.Skip(call.elsewhere)
				}
				s := schema.Read(t, call.kind)
				body := call.as(t, name, "json")
				s.Follows(t, "json", body)
				if call.kind != "Config" { // people write it, and may leave a value empty: see internal/policy
					s.RefusesDamage(t, "json", body)
				}
				// The same fields as YAML.
				converted, err := yaml.YAMLToJSONStrict(call.as(t, name, "yaml"))
				if err != nil {
					t.Fatal(err)
				}
				s.Follows(t, "yaml", converted)
			})
		}
	}
	for name := range all {
		t.Errorf("perennial %s does not take -o json", name)
	}
	for _, kind := range schema.Kinds(t) {
		if !kinds[kind] {
			t.Errorf("the schema of %s is published, and no command here prints one", kind)
		}
	}
}

func (p printed) as(t *testing.T, name, format string) []byte {
	t.Helper()
	args := append(strings.Fields(name), "-o", format)
	got := run(t, append(args, p.args...)...)
	if got.exit != p.exit && p.exit >= 0 {
		t.Fatalf("perennial %s %s: exit code %d, want %d\n%s", name, strings.Join(p.args, " "), got.exit, p.exit, got.errors)
	}
	var is struct {
		Kind     string
		ExitCode *int
	}
	body := []byte(got.out)
	decode := json.Unmarshal
	if format == "yaml" {
		decode = func(body []byte, to any) error { return yaml.Unmarshal(body, to) }
	}
	if err := decode(body, &is); err != nil || is.Kind != p.kind {
		t.Fatalf("perennial %s -o %s prints the kind %q, want %s: %v\n%s%.500s", name, format, is.Kind, p.kind, err, got.errors, body)
	}
	if zero := slices.Contains(p.args, "--exit-zero"); is.ExitCode != nil && p.exit >= 0 && *is.ExitCode != got.exit && !zero {
		t.Errorf("perennial %s -o %s says exit code %d, and ends with %d", name, format, *is.ExitCode, got.exit)
	}
	return body
}

// Who asks for JSON gets JSON, also where there is nothing to check.
func TestMissingPreferencesAreADocument(t *testing.T) {
	home, out, problems := t.TempDir(), &strings.Builder{}, &strings.Builder{}
	code := cli.Main(t.Context(), []string{"kuberc", "check", "--kubectl", "1.37", "-o", "json"}, cli.Streams{In: strings.NewReader(""), Out: out, Err: problems, Now: time.Now, Getenv: func(name string) string {
		return map[string]string{"HOME": home}[name]
	}})
	if code != timeline.ExitOK || !strings.Contains(out.String(), `"missing": true`) {
		t.Errorf("exit code %d: %s%s", code, out, problems)
	}
	schema.Read(t, "KubercCheck").Follows(t, "without a file", []byte(out.String()))
}

// listed holds the page about JSON to name a command, the kind that it prints, and
// the schema of that.
func listed(t *testing.T, name, kind string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf("| `%s` | [%[2]s.v1alpha1.json](schema/%[2]s.v1alpha1.json) |", kind, strings.ToLower(kind))
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, row) && strings.Contains(line, "`perennial "+name+"`") {
			return
		}
	}
	t.Errorf("docs/json.md has no row that begins with %s and names `perennial %s`", row, name)
}

// smallCluster is an API server with a namespace, a pod and a job in it. Whatever is
// changed in a dry run stays as it was.
func smallCluster(t *testing.T) string {
	t.Helper()
	const shop = `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "u-1", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}}`
	answers := map[string]string{
		"/api":                           `{"kind": "APIVersions", "versions": ["v1"]}`,
		"/apis":                          `{"kind": "APIGroupList", "groups": [{"name": "batch", "versions": [{"groupVersion": "batch/v1", "version": "v1"}], "preferredVersion": {"groupVersion": "batch/v1", "version": "v1"}}]}`,
		"/api/v1":                        `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "namespaces", "kind": "Namespace", "verbs": ["list", "get"]}, {"name": "pods", "kind": "Pod", "namespaced": true, "verbs": ["list", "get"]}]}`,
		"/apis/batch/v1":                 `{"kind": "APIResourceList", "groupVersion": "batch/v1", "resources": [{"name": "cronjobs", "kind": "CronJob", "namespaced": true, "verbs": ["list", "get"]}]}`,
		"/version":                       `{"major": "1", "minor": "36", "gitVersion": "v1.36.2"}`,
		"/api/v1/namespaces/kube-system": `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "u-0"}}`,
		"/api/v1/namespaces/shop":        shop,
		"/api/v1/namespaces":             `{"apiVersion": "v1", "kind": "NamespaceList", "metadata": {"resourceVersion": "1"}, "items": [` + shop + `]}`,
		"/apis/batch/v1/cronjobs":        `{"apiVersion": "batch/v1", "kind": "CronJobList", "metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "backup", "namespace": "shop", "uid": "u-2"}, "spec": {"schedule": "0 3 * * *"}}]}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, is := answers[r.URL.Path]
		sent, _ := io.ReadAll(r.Body)
		switch level := regexp.MustCompile(`pod-security.kubernetes.io/enforce": ?"([^"]*)"`).FindSubmatch(sent); {
		case level != nil && !workload.IsLevel(string(level[1])): // as the admission does
			w.WriteHeader(http.StatusUnprocessableEntity)
			body = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422}`
		case is:
		case strings.Contains(r.URL.Path, "/v1/"):
			body = `{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}`
		default:
			w.WriteHeader(http.StatusNotFound)
			body = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// plans are the IDs of the journal's plans.
func (s *site) plans() (ids []string) {
	s.t.Helper()
	out, _ := s.run("history", "-o", "json")
	var h struct{ Plans []struct{ ID string } }
	if err := json.Unmarshal([]byte(out), &h); err != nil || len(h.Plans) == 0 {
		s.t.Fatalf("%v\n%s", err, out)
	}
	for _, p := range h.Plans {
		ids = append(ids, p.ID)
	}
	return ids
}

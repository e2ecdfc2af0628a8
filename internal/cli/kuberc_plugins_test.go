// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/cli"
)

// A kubeconfig with a credential plugin has it run where the user's policy lets it,
// and nowhere else. The plugin is a real one, which leaves a trace.
func TestCredentialPluginPolicy(t *testing.T) {
	const (
		none    = ""
		deny    = beta + "credentialPluginPolicy: DenyAll\n"
		all     = beta + "credentialPluginPolicy: AllowAll\n"
		this    = beta + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: PLUGIN\n"
		another = beta + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: /usr/bin/true\n"
	)
	// client-go asks for credentials where it speaks TLS, and there alone.
	server := httptest.NewTLSServer(&recorder{})
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, c := range map[string]struct {
		kubectl, own string // the preferences of the two
		env          map[string]string
		runs         bool
		says         string
	}{
		"no preferences":            {none, none, nil, true, ""},
		"preferences without one":   {beta + "aliases: []\n", none, nil, true, ""},
		"denied":                    {deny, none, nil, false, "DenyAll"},
		"allowed":                   {all, none, nil, true, ""},
		"on the list":               {this, none, nil, true, ""},
		"not on the list":           {another, none, nil, false, "not permitted by the credential plugin allowlist"},
		"denied by one's own":       {all, deny, nil, false, "DenyAll"},
		"allowed by one's own":      {deny, all, nil, true, ""},
		"own ones without a policy": {deny, beta + "aliases: []\n", nil, false, "DenyAll"},
		"switched off":              {deny, none, map[string]string{"KUBERC": "off"}, true, ""},
		"policy that is none":       {beta + "credentialPluginPolicy: Deny\n", none, nil, false, ".kube/kuberc:3: the credentialPluginPolicy \"Deny\" is none of"},
		"mistyped":                  {beta + "credentialpluginpolicy: DenyAll\n", none, nil, false, ".kube/kuberc:3: there is no field"},
		"file that is not read":     {beta + "aliases: 5\n", none, nil, false, ".kube/kuberc:3: aliases must be a list"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			plugin, trace := filepath.Join(home, "plugin"), filepath.Join(home, "trace")
			credential := `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t"}}`
			config := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "x",
"clusters": [{"name": "x", "cluster": {"server": %q, "certificate-authority-data": %q}}], "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
"users": [{"name": "x", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": %q, "interactiveMode": "Never"}}}]}`, server.URL, base64.StdEncoding.EncodeToString(ca), plugin)
			files := map[string]string{
				"plugin": fmt.Sprintf("#!/bin/sh\n: > %s\necho '%s'\n", trace, credential),
				"config": config, ".kube/kuberc": strings.ReplaceAll(c.kubectl, "PLUGIN", plugin), ".config/perennial/kuberc": c.own,
			}
			for name, text := range files {
				path := filepath.Join(home, name)
				if text == "" {
					continue
				}
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			env := map[string]string{"HOME": home}
			for k, v := range c.env {
				env[k] = v
			}
			var out, errs bytes.Buffer
			code := cli.Main(t.Context(), []string{"check", "--to", "1.37", "--kubeconfig", filepath.Join(home, "config"), "-o", "json"},
				cli.Streams{Out: &out, Err: &errs, Now: time.Now, Getenv: func(name string) string { return env[name] }})
			_, err := os.Stat(trace)
			if ran := err == nil; ran != c.runs {
				t.Errorf("the plugin ran: %t, want %t; exit code %d\n%s\n%s", ran, c.runs, code, &errs, &out)
			}
			if said := out.String() + errs.String(); !strings.Contains(said, c.says) && !strings.Contains(said, strings.ReplaceAll(c.says, `"`, `\"`)) {
				t.Errorf("exit code %d, said %s\n%s\nwant %q", code, &errs, &out, c.says)
			}
			if !c.runs && code == 0 {
				t.Errorf("a look that was not allowed ends with 0")
			}
		})
	}
}

// Every command that opens a user's kubeconfig hands on the policy: one that forgets
// it would run what is denied.
func TestEveryContextHasThePolicy(t *testing.T) {
	opens := regexp.MustCompile(`kube\.Context\{[^}]*\}|prepare\.Options\{[^}]*\}`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, literal := range opens.FindAllString(string(text), -1) {
			if strings.HasPrefix(literal, "kube.") && !strings.Contains(string(text), "kube.OpenContext(") {
				continue // it is opened by package prepare, which has the policy from its options
			}
			seen++
			if !strings.Contains(literal, "Plugins: pluginPolicy(s)") {
				t.Errorf("%s: %s has no policy for credential plugins", file, literal)
			}
		}
	}
	if seen < 4 {
		t.Errorf("only %d places were found", seen)
	}
}

// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/testlab"
)

// startsOfEach is how many settings that a version takes, and how many that it
// refuses, are tried by a start.
const startsOfEach = 7

// What a parser says is not yet a component that runs: some settings of each
// version are tried by starting the component beside the lab's own.
func TestLabStarts(t *testing.T) {
	testlab.Each(t, func(p *testlab.Plane) {
		minor, err := release.ParseMinor(p.Version)
		if err != nil {
			p.Fatal(err)
		}
		if files, _ := filepath.Glob(filepath.Join("testdata/parsers", p.Version+"-*")); len(files) == 0 {
			p.Skipf("what the parsers of %s say is not recorded", p.Version)
		}
		all := settingsToStart(p.T, p.Version, minor)
		for _, refused := range []bool{false, true} {
			some := slices.DeleteFunc(slices.Clone(all), func(s startedSetting) bool { return s.refused != refused })
			if len(some) < startsOfEach {
				p.Fatalf("%d settings of %s are to be tried", len(some), p.Version)
			}
			for i := range startsOfEach {
				some[i*len(some)/startsOfEach].try(p)
			}
		}
	})
}

// startedSetting is a setting of a component, with the verdict on it.
type startedSetting struct {
	component, arg string
	refused        bool
}

// settingsToStart are those of the components which the lab runs. A flag that is
// taken needs a value of its kind, and the flags the lab gives show that.
func settingsToStart(t *testing.T, version string, m release.Minor) []startedSetting {
	t.Helper()
	set := load(t)
	var all []startedSetting
	for _, component := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		answers := slices.DeleteFunc(readAnswers(t, filepath.Join("testdata/parsers", version+"-"+component+".txt")), func(a answer) bool {
			return !known(set, m, component, a) || a.sort == "flag" && !a.refused || needsMore(a)
		})
		refused := verdicts(set, m, component, answers)
		for i, a := range answers {
			all = append(all, startedSetting{component, a.arg(), refused[i]})
		}
	}
	return all
}

// needsMore tells of settings that are known and need another beside them, in any
// minor: a plugin's configuration, the API in which a gate keeps what it knows.
func needsMore(a answer) bool {
	return slices.Contains([]string{"ImagePolicyWebhook", "EventRateLimit", "StorageVersionAPI=true"}, a.value)
}

var refusedFor = regexp.MustCompile(`unknown flag: \S+|(unrecognized|cannot set) feature gate:? \S+|plugin \S+ is unknown|\S+ is enabled, but depends on.*|group version \S+ that has not been registered`)

// try starts the component with the setting, on a port of its own.
func (s startedSetting) try(p *testlab.Plane) {
	p.Helper()
	started, out := start(p, s.component, s.arg)
	if started == s.refused {
		p.Errorf("%s %s with %s: started %t, and the verdict is that it does not: %t\n%s", s.component, p.Version, s.arg, started, s.refused, out)
		return
	}
	if s.refused && !refusedFor.MatchString(out) {
		p.Errorf("%s %s with %s ended for another reason:\n%s", s.component, p.Version, s.arg, out)
	}
	p.Logf("%s with %s: started %t %s", s.component, s.arg, started, refusedFor.FindString(out))
}

// start runs what the lab runs, with one more argument, until it answers or ends.
func start(p *testlab.Plane, component, arg string) (bool, string) {
	p.Helper()
	i := slices.IndexFunc(p.Components, func(c testlab.Component) bool { return c.Name == component })
	if i < 0 {
		p.Fatalf("the lab runs no %s", component)
	}
	process := filepath.Join("/proc", fmt.Sprint(p.Components[i].PID))
	port := freePort(p.T)
	args := withPort(words(p.T, filepath.Join(process, "cmdline")), port)

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(testlab.Programs(p.T, p.Version), component), append(args[1:], arg)...)
	cmd.Env, cmd.Dir = words(p.T, filepath.Join(process, "environ")), p.TempDir()
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // with which code it ends does not matter, since it was to run
	}()
	defer func() {
		cancel()
		<-ended
	}()
	for {
		select {
		case <-ended:
			return false, tail(out.String())
		case <-time.After(200 * time.Millisecond):
			if answers(port) {
				return true, ""
			}
		}
	}
}

// answers asks the way that needs no rights.
func answers(port int) bool {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // who answers there is known
	}}
	response, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d/healthz", port))
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func withPort(args []string, port int) []string {
	for i, arg := range args {
		if strings.HasPrefix(arg, "--secure-port=") {
			args[i] = fmt.Sprintf("--secure-port=%d", port)
		}
	}
	return args
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// words reads what the kernel separates by zero bytes.
func words(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
}

func tail(text string) string {
	return text[max(0, len(text)-2000):]
}

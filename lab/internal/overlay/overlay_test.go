// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/lab/internal/clock"
)

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestInstalledGoHasThePlace(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(goroot(t), runtime.Version(), dir); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(dir, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "sec, nsec, mono := runtimeNow()\n\tif labOffset != nil {\n\t\tsec, nsec = labWall(sec, nsec)\n\t}\n"
	if strings.Count(string(written), want) != 1 {
		t.Errorf("the hook is not behind the reading of the clock, once")
	}
}

func TestSourceThatDoesNotFit(t *testing.T) {
	for name, source := range map[string]string{
		"other name":  "package time\nfunc Now() Time {\n\tsec, nsec, mono := wallAndMono()\n}\n",
		"other shape": "package time\nfunc Now() Time {\n\treturn Time{runtimeNow()}\n}\n",
		"method only": "package time\nfunc (c Clock) Now() Time {\n\tsec, nsec, mono := runtimeNow()\n}\n",
		"no body":     "package time\nfunc Now() Time\n",
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "src", "time"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "src", "time", "time.go"), []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Write(root, "go1.99.0", t.TempDir())
		if !errors.Is(err, ErrNoPlace) || !strings.Contains(err.Error(), "go1.99.0") || !strings.Contains(err.Error(), "runtimeNow()") {
			t.Errorf("%s: the error names neither the version nor what was looked for: %v", name, err)
		}
	}
}

// jumper prints the wall clock and the length of a sleep, twice: the second
// time after a line on standard input.
const jumper = `package main

import (
	"os"
	"strconv"
	"time"
)

func main() {
	for range 2 {
		before := time.Now()
		time.Sleep(50 * time.Millisecond)
		println := func(n int64) { os.Stdout.WriteString(strconv.FormatInt(n, 10) + "\n") }
		println(time.Now().Unix())
		println(int64(time.Since(before) / time.Millisecond))
		os.Stdin.Read(make([]byte, 1))
	}
}
`

func TestRunningProgramSeesTheJump(t *testing.T) {
	dir := t.TempDir()
	index, err := Write(goroot(t), runtime.Version(), filepath.Join(dir, "overlay"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"main.go": jumper, "go.mod": "module jumper\n\ngo 1.26\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "jumper")
	build := exec.Command("go", "build", "-overlay="+index, "-o", binary, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	control := filepath.Join(dir, "clock")
	if err := clock.Create(control); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = []string{clock.Variable + "=" + control}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := readNumbers(t, stdout)
	wall, slept := read(), read()
	if d := time.Since(time.Unix(wall, 0)); d.Abs() > time.Minute {
		t.Errorf("without an offset the program is %v off", d)
	}
	const jump = 366 * 24 * time.Hour
	if err := clock.Set(control, jump); err != nil {
		t.Fatal(err)
	}
	stdin.Write([]byte("\n"))
	wall, after := read(), read()
	if d := time.Until(time.Unix(wall, 0)) - jump; d.Abs() > time.Minute {
		t.Errorf("after a jump of %v the program is %v off", jump, d)
	}
	for _, ms := range []int64{slept, after} {
		if ms < 50 || ms > 60_000 {
			t.Errorf("a sleep of 50 ms lasted %d ms by the monotonic clock", ms)
		}
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	t.Run("short control file", func(t *testing.T) {
		// Reading beyond the end of a mapped file would kill the program.
		if err := os.Truncate(control, 3); err != nil {
			t.Fatal(err)
		}
		again := exec.Command(binary)
		again.Env = cmd.Env
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func readNumbers(t *testing.T, from interface{ Read([]byte) (int, error) }) func() int64 {
	return func() int64 {
		t.Helper()
		var line []byte
		for b := make([]byte, 1); ; {
			if _, err := from.Read(b); err != nil {
				t.Fatal(err)
			}
			if b[0] == '\n' {
				break
			}
			line = append(line, b[0])
		}
		n, err := strconv.ParseInt(string(line), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

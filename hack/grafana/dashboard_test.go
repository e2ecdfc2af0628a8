// SPDX-License-Identifier: Apache-2.0

package grafana

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"perennial.dev/perennial/hack/npm"
)

const file = "../../deploy/grafana/perennial.json"

var (
	typescript = npm.Package{Name: "typescript", Version: "5.9.3",
		Integrity: "sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw=="}
	oldest = npm.Package{Name: "@grafana/schema", Version: "10.4.19",
		Integrity: "sha512-4kH+Ryiy529fBDZe97qnGrtpmESYaNX8/ef8WsvsUbP1ZheopUkd18r/+VTc18tX7ujOpuThXCdOBDsptj3qJw=="}
	newest = npm.Package{Name: "@grafana/schema", Version: "13.2.3",
		Integrity: "sha512-rk8FEO7yuFfRTK/JD39747SZFQ+iCTQbpm6Mh2OjnqGx/g/uQQFx56t64eCLXWEyoR68ru4cigcGKrXk+ozrLg=="}
)

// prometheusQuery is where Grafana's package has the type of a query of Prometheus;
// newer ones have it no more.
const prometheusQuery = "dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen.d.ts"

// preamble says what a panel of each kind is, in Grafana's own types. JSON has the
// values of enumerations, not their names, and Grafana has a default for every option.
const preamble = `import { Dashboard, FieldConfig, FieldConfigSource, Panel, TableFieldOptions, GraphFieldConfig } from "@grafana/schema";
import { Options as StatOptions } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import { Options as TableOptions } from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import { Options as TimeseriesOptions } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import { PrometheusDataQuery } from "./prometheus";
type Json<T> = T extends string ? ` + "`${T}`" + ` : T extends number | boolean | null | undefined ? T : T extends Array<infer E> ? Array<Json<E>> : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
type Fields<F> = Omit<Json<FieldConfigSource>, "defaults"> & { defaults: Omit<Json<FieldConfig>, "custom"> & { custom?: Json<Partial<F>> } };
type Of<K, O, F> = Omit<Json<Panel>, "type" | "options" | "fieldConfig" | "targets"> & { type: K; title: string; options: Json<Partial<O>>; fieldConfig: Fields<F>; targets: Array<Json<PrometheusDataQuery>> };
type Stat = Of<"stat", StatOptions, {}>;
type Table = Of<"table", TableOptions, TableFieldOptions>;
type Timeseries = Of<"timeseries", TimeseriesOptions, GraphFieldConfig>;
`

var kinds = map[string]string{"stat": "Stat", "table": "Table", "timeseries": "Timeseries"}

type document = map[string]any

func read(t *testing.T) (d document) {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func panel(d document, n int) document { return d["panels"].([]any)[n].(document) }

// program is TypeScript in which every line holds one thing to its type, and what each
// of those lines is.
func program(t *testing.T, d document, also map[string]document) (text string, lines map[int]string) {
	t.Helper()
	lines = map[int]string{}
	var b strings.Builder
	b.WriteString(preamble)
	hold := func(name, typ string, value any) {
		literal, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		lines[strings.Count(b.String(), "\n")+1] = name
		fmt.Fprintf(&b, "export const c%d: %s = %s;\n", len(lines), typ, literal)
	}
	all := func(name string, d document) {
		hold(name, "Json<Dashboard>", d)
		for _, p := range d["panels"].([]any) {
			kind, is := kinds[p.(document)["type"].(string)]
			if !is {
				t.Fatalf("nothing here knows panels of the type %v", p.(document)["type"])
			}
			hold(name, kind, p)
		}
	}
	all("", d)
	for _, name := range slices.Sorted(maps.Keys(also)) {
		all(name, also[name])
	}
	return b.String(), lines
}

// tools are what a dashboard is compared with, and what compares.
type tools struct {
	node     string
	compiler map[string][]byte
	types    map[string]map[string][]byte // by Grafana's version
}

// fetch gets the tools, or skips the test and says why.
func fetch(t *testing.T) tools {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node")
	}
	unpack := func(p npm.Package, wanted func(string) bool) map[string][]byte {
		files, err := p.Files(wanted)
		if _, is := errors.AsType[npm.Unavailable](err); is {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	h := tools{node, unpack(typescript, func(name string) bool {
		return name == "lib/tsc.js" || name == "lib/_tsc.js" || strings.HasPrefix(name, "lib/lib.") || name == "package.json"
	}), map[string]map[string][]byte{}}
	for _, p := range []npm.Package{oldest, newest} {
		h.types[p.Version] = unpack(p, func(name string) bool { return strings.HasSuffix(name, ".d.ts") || name == "package.json" })
	}
	return h
}

// workshop is a directory with a program, the compiler and a Grafana's types.
func (h tools) workshop(t *testing.T, version, text string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, body []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, body, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for name, body := range h.compiler {
		put("typescript/"+name, body)
	}
	for name, body := range h.types[version] {
		put("node_modules/@grafana/schema/"+name, body)
	}
	put("prometheus.d.ts", h.types[oldest.Version][prometheusQuery])
	put("check.ts", []byte(text))
	put("tsconfig.json", []byte(`{"compilerOptions": {"noEmit": true, "strict": true, "skipLibCheck": true, "types": [], "lib": ["es2022"], "module": "esnext", "moduleResolution": "bundler"}, "files": ["check.ts"]}`))
	return dir
}

var complaint = regexp.MustCompile(`(?m)^check\.ts\((\d+),\d+\): error .*(?:\n  .*)*`)

// complaints are what the compiler says, by line.
func (h tools) complaints(t *testing.T, dir string) map[int]string {
	t.Helper()
	cmd := exec.Command(h.node, "typescript/lib/tsc.js")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	said := map[int]string{}
	for _, m := range complaint.FindAllStringSubmatch(string(out), -1) {
		line, _ := strconv.Atoi(m[1])
		said[line] += m[0] + "\n"
	}
	if failed := new(exec.ExitError); err != nil && (!errors.As(err, &failed) || len(said) == 0) || err == nil && len(said) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	return said
}

// faults are dashboards with one fault each: a checker that takes anything would take
// them, too.
func faults(t *testing.T) map[string]document {
	all := map[string]document{}
	for name, change := range map[string]func(d document){
		"a field that nobody knows":  func(d document) { d["colour"] = "red" },
		"a panel's field":            func(d document) { panel(d, 0)["querys"] = []any{} },
		"an option of another panel": func(d document) { panel(d, 0)["options"].(document)["sortBy"] = []any{} },
		"an option of another type":  func(d document) { panel(d, 0)["options"].(document)["colorMode"] = 5 },
		"an option's unknown value":  func(d document) { panel(d, 0)["options"].(document)["colorMode"] = "rainbow" },
		"a place that is none":       func(d document) { panel(d, 0)["gridPos"].(document)["w"] = "wide" },
		"a query's field":            func(d document) { panel(d, 0)["targets"].([]any)[0].(document)["query"] = "up" },
		"a query without expression": func(d document) { delete(panel(d, 0)["targets"].([]any)[0].(document), "expr") },
		"a threshold without a colour": func(d document) {
			delete(panel(d, 0)["fieldConfig"].(document)["defaults"].(document)["thresholds"].(document)["steps"].([]any)[0].(document), "color")
		},
		"a variable's unknown type": func(d document) { d["templating"].(document)["list"].([]any)[0].(document)["type"] = "guess" },
		"no version of the schema":  func(d document) { delete(d, "schemaVersion") },
	} {
		d := read(t)
		change(d)
		all[name] = d
	}
	return all
}

func TestTheDashboardIsOneOfGrafanas(t *testing.T) {
	h := fetch(t) // before there are parts: of a part that is skipped, CI does not show why
	wrong := faults(t)
	text, lines := program(t, read(t), wrong)
	for _, types := range []npm.Package{oldest, newest} {
		t.Run(types.Version, func(t *testing.T) {
			said := h.complaints(t, h.workshop(t, types.Version, text))
			found := map[string]bool{}
			for line, what := range said {
				name, is := lines[line]
				if !is || name == "" {
					t.Errorf("%s", what)
				}
				found[name] = true
			}
			for name := range wrong {
				if !found[name] {
					t.Errorf("%s passes", name)
				}
			}
		})
	}
}

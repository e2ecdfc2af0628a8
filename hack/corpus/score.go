// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// claim is what a tool says is removed. Tools that name neither file nor line
// are only held to what they name.
type claim struct{ apiVersion, kind, name, place string }

// score compares a report with the truth: recall is the share of what is
// removed at the minor that was found, precision the share of what was found
// that is removed.
func score(dir, minor, tool string, report io.Reader, stdout io.Writer) error {
	want, err := readTruth(dir, minor)
	if err != nil {
		return err
	}
	claims, err := readReport(tool, dir, minor, report)
	if err != nil {
		return err
	}
	right, wrong := 0, 0
	left := map[string]int{}
	for _, key := range want {
		left[keyFor(tool, key)]++
	}
	shown := 0
	for _, c := range claims {
		key := keyFor(tool, c)
		if left[key] > 0 {
			left[key]--
			right++
			continue
		}
		if wrong++; shown < 5 {
			shown++
			fmt.Fprintf(stdout, "  not so: %+v\n", c)
		}
	}
	shown = 0
	for _, c := range want {
		if key := keyFor(tool, c); left[key] > 0 && shown < 5 {
			left[key]--
			shown++
			fmt.Fprintf(stdout, "  missed: %+v\n", c)
		}
	}
	fmt.Fprintf(stdout, "%-10s %s  removed %d  found %d  recall %.3f  precision %.3f\n",
		tool, minor, len(want), len(claims), share(right, len(want)), share(right, right+wrong))
	return nil
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// keyFor is what a claim of a tool is compared by.
func keyFor(tool string, c claim) string {
	if tool == "perennial" {
		return c.apiVersion + " " + c.kind + " " + c.place
	}
	return c.apiVersion + " " + c.kind
}

func readTruth(dir, minor string) ([]claim, error) {
	text, err := os.ReadFile(filepath.Join(dir, "truth.csv"))
	if err != nil {
		return nil, fmt.Errorf("reading the truth: %w", err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading the truth: %w", err)
	}
	var want []claim
	for _, row := range rows[1:] {
		if row[5] != "" && reached(row[5], minor) {
			v := version{row[2], row[3], row[4], row[5]}
			want = append(want, claim{apiVersion: v.apiVersion(), kind: v.kind, place: row[0] + ":" + row[1]})
		}
	}
	return want, nil
}

func readReport(tool, dir, minor string, report io.Reader) ([]claim, error) {
	d := json.NewDecoder(report)
	var claims []claim
	switch tool {
	case "perennial":
		var r struct {
			Items []struct {
				Code, File, RemovedIn string
				Line                  int
				Object                struct{ APIVersion, Kind, Name string }
			}
		}
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("reading the report: %w", err)
		}
		root := filepath.Join(dir, "manifests") + "/"
		for _, i := range r.Items {
			if i.Code == "APIRemoved" {
				claims = append(claims, claim{i.Object.APIVersion, i.Object.Kind, i.Object.Name, strings.TrimPrefix(i.File, root) + ":" + strconv.Itoa(i.Line)})
			}
		}
	case "pluto":
		var r struct {
			Items []struct {
				Name    string
				API     struct{ Version, Kind string }
				Removed bool
			}
		}
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("reading the report: %w", err)
		}
		for _, i := range r.Items {
			if i.Removed {
				claims = append(claims, claim{apiVersion: i.API.Version, kind: i.API.Kind, name: i.Name})
			}
		}
	case "kubent":
		var r []struct{ Name, Kind, ApiVersion, RuleSet string }
		if err := d.Decode(&r); err != nil {
			return nil, fmt.Errorf("reading the report: %w", err)
		}
		for _, i := range r {
			if m := minorOf(i.RuleSet); m != "" && reached(m, minor) {
				claims = append(claims, claim{apiVersion: i.ApiVersion, kind: i.Kind, name: i.Name})
			}
		}
	default:
		return nil, fmt.Errorf("no such tool: %s", tool)
	}
	return claims, nil
}

// minorOf reads the minor in a rule set's name: "Deprecated APIs removed in 1.25".
func minorOf(ruleSet string) string {
	_, after, _ := strings.Cut(ruleSet, " in ")
	return strings.TrimSpace(after)
}

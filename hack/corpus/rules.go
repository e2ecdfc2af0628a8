// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// version is a kind in a version.
type version struct {
	group, version, kind string
	removedIn            string // empty where it stays
}

func (v version) apiVersion() string {
	if v.group == "" {
		return v.version
	}
	return v.group + "/" + v.version
}

// neverServed are kinds that have a type and were never an object of any API
// server: what webhooks and clients of discovery are sent, and a part of a
// CronJob.
var neverServed = map[string]bool{"AdmissionReview": true, "APIGroupDiscovery": true, "JobTemplate": true}

// readRules reads the rows with a removal, measured or planned.
func readRules(path string) ([]version, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var removed []version
	for _, row := range rows[1:] {
		minor, _, _ := strings.Cut(row[column["removed"]], " ")
		if minor != "" && !neverServed[row[column["kind"]]] {
			removed = append(removed, version{row[column["group"]], row[column["version"]], row[column["kind"]], minor})
		}
	}
	if len(removed) == 0 {
		return nil, fmt.Errorf("reading the rules: %s names no removal", path)
	}
	return removed, nil
}

// reached says whether a minor is not later than another.
func reached(minor, target string) bool { return number(minor) <= number(target) }

func number(minor string) int {
	_, after, _ := strings.Cut(minor, ".")
	n, _ := strconv.Atoi(after)
	return n
}

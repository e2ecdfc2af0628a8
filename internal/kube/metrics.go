// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// metric is one line of the Prometheus text format.
type metric struct {
	name   string
	labels map[string]string
	value  float64
}

// lineLimit is well above the longest line of an API server, in bytes.
const lineLimit = 1 << 20

// scanMetrics reads the lines of the metrics that are asked for and passes over
// the other 99 of 100. prometheus/common/expfmt would read them all, and add
// 1.6 MB to the program.
func scanMetrics(text io.Reader, names []string, each func(metric)) error {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, lineLimit)
	for lines.Scan() {
		line := lines.Text()
		for _, name := range names {
			rest, ok := strings.CutPrefix(line, name)
			if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
				continue
			}
			labels, value, err := parseMetric(rest)
			if err != nil {
				return fmt.Errorf("a line of %s: %w", name, err)
			}
			each(metric{name, labels, value})
		}
	}
	return lines.Err()
}

// parseMetric reads what follows a metric's name: labels, if any, a value that
// is a count or a time, and perhaps a timestamp.
func parseMetric(rest string) (labels map[string]string, value float64, err error) {
	if rest[0] == '{' {
		if labels, rest, err = parseLabels(rest[1:]); err != nil {
			return nil, 0, err
		}
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return nil, 0, fmt.Errorf("there is no value")
	}
	value, err = strconv.ParseFloat(fields[0], 64)
	if err != nil || math.IsNaN(value) || value < 0 || value > 1<<53 {
		return nil, 0, fmt.Errorf("its value is no count")
	}
	return labels, value, nil
}

// parseLabels reads name="value" pairs up to the closing brace.
func parseLabels(rest string) (map[string]string, string, error) {
	labels := map[string]string{}
	for {
		rest = strings.TrimLeft(rest, ", ")
		if after, ok := strings.CutPrefix(rest, "}"); ok {
			return labels, after, nil
		}
		name, after, ok := strings.Cut(rest, `="`)
		if !ok {
			return nil, "", fmt.Errorf("its labels do not end")
		}
		value, after, ok := labelValue(after)
		if !ok {
			return nil, "", fmt.Errorf("a label's value does not end")
		}
		labels[name], rest = value, after
	}
}

// labelValue reads up to the closing quote, with the escapes \\, \" and \n.
func labelValue(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String(), text[i+1:], true
		case text[i] == '\\' && i+1 < len(text):
			i++
			if text[i] == 'n' {
				b.WriteByte('\n')
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

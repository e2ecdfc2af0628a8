// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Part is a part of a life, as an exact fraction.
type Part struct{ Num, Den int64 }

// ParsePart reads "1/3", "90%" or "2.5%". A part is neither negative nor more
// than the whole.
func ParsePart(s string) (Part, error) {
	p, ok := parsePart(s)
	if !ok || p.Num < 0 || p.Num > p.Den {
		return Part{}, fmt.Errorf("%q is not a part of a life: want a fraction such as 1/3 or a percentage such as 2.5%%", s)
	}
	return p, nil
}

// partDigits bounds numerator and denominator, so that multiplying with the
// seconds of ten thousand years cannot overflow.
const partDigits = 5

func parsePart(s string) (Part, bool) {
	if percent, ok := strings.CutSuffix(s, "%"); ok {
		whole, frac, _ := strings.Cut(strings.TrimSpace(percent), ".")
		n, ok := digits(whole + frac)
		if !ok || whole == "" || len(frac) > 2 {
			return Part{}, false
		}
		den := int64(100)
		for range frac {
			den *= 10
		}
		return Part{n, den}.reduced(), true
	}
	num, den, _ := strings.Cut(s, "/")
	n, okN := digits(num)
	d, okD := digits(den)
	if !okN || !okD || d == 0 {
		return Part{}, false
	}
	return Part{n, d}.reduced(), true
}

func digits(s string) (int64, bool) {
	if s == "" || len(s) > partDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return int64(n), err == nil
}

func (p Part) reduced() Part {
	a, b := p.Num, p.Den
	for b != 0 {
		a, b = b, a%b
	}
	return Part{p.Num / a, p.Den / a}
}

// of is the part of a number of seconds, rounded down. The quotient is taken
// first, so that no product overflows.
func (p Part) of(secs int64) int64 {
	return secs/p.Den*p.Num + secs%p.Den*p.Num/p.Den
}

// String writes the part for a sentence: "a third", "90 %".
func (p Part) String() string {
	switch p {
	case Part{1, 3}:
		return "a third"
	case Part{1, 2}:
		return "half"
	case Part{1, 4}:
		return "a quarter"
	}
	return strconv.FormatFloat(math.Round(float64(p.Num)*10000/float64(p.Den))/100, 'f', -1, 64) + " %"
}

// ParseDuration reads "90d", "2160h", "1h30m". A day is 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	var d time.Duration
	rest := s
	if days, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || time.Duration(n) > math.MaxInt64/day/2 {
			return 0, badDuration(s)
		}
		d, rest = time.Duration(n)*day, after
	}
	if rest != "" {
		r, err := time.ParseDuration(rest)
		if err != nil || strings.ContainsAny(rest, "+-") || r > math.MaxInt64/2 {
			return 0, badDuration(s)
		}
		d += r
	}
	if s == "" || d < 0 {
		return 0, badDuration(s)
	}
	return d, nil
}

func badDuration(s string) error {
	return fmt.Errorf("%q is not a duration: want days such as 90d or hours such as 2160h", s)
}

// ParseDate reads a day ("2027-06-01", its first instant in UTC) or an instant
// (RFC 3339).
func ParseDate(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date: want a day such as 2027-06-01 or an instant such as 2027-06-01T12:00:00Z", s)
}

// SPDX-License-Identifier: Apache-2.0

package release

import (
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const tableStart = "# as-of: 2027-01-10\nminor,released,maintenance,planned_end,ended,last_patch,last_patch_date\n"

func TestMergeReplacesAndContinues(t *testing.T) {
	c := load(t)
	err := c.Merge(strings.NewReader(tableStart +
		"1.35,2025-12-17 measured m,2026-12-28 planned p,2027-03-15 planned vendor contract,,,\n" +
		"\n# later\n" +
		"1.40,2027-09-01 planned p,2028-09-28 estimated rule,2028-11-28 estimated rule,,,\n" +
		"1.41,2027-12-15 estimated rule,2028-12-28 estimated rule,2029-02-28 estimated rule,,,\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if end, _, _ := c.SupportEnd(35); end != day(t, "2027-03-15") {
		t.Errorf("1.35 ends %s", end)
	}
	if end, _, _ := c.SupportEnd(40); end != day(t, "2028-11-28") {
		t.Errorf("1.40 ends %s", end)
	}
	if r, ok := c.Lookup(41); !ok || r.Released.Day != day(t, "2027-12-15") {
		t.Errorf("1.41 is %v", r)
	}
	if c.AsOf() != day(t, "2027-01-10") {
		t.Errorf("as of %s", c.AsOf())
	}
	if end, _, _ := c.SupportEnd(36); end != day(t, "2027-06-28") {
		t.Errorf("1.36 ends %s, though the file has no row for it", end)
	}
}

func TestMergeOfAnOlderTableKeepsTheAsOfDay(t *testing.T) {
	c := load(t)
	older := strings.Replace(tableStart, "2027-01-10", "2026-09-01", 1) + "1.37,2026-08-26 measured m,,2027-10-28 planned p,,,\n"
	if err := c.Merge(strings.NewReader(older)); err != nil || c.AsOf() != day(t, "2026-11-22") {
		t.Errorf("as of %s, %v", c.AsOf(), err)
	}
}

func TestMergeErrorsNameTheLineAndChangeNothing(t *testing.T) {
	const good = "1.36,2026-04-22 measured m,2027-04-28 planned p,2027-06-28 planned p,,,\n"
	for _, bad := range []struct{ name, text, want string }{
		{"empty", "", `no line "# as-of: YYYY-MM-DD"`},
		{"no header", "# as-of: 2027-01-10\n", "no header row"},
		{"bad as-of", "# x\n# as-of: soon\n", `line 2: as-of "soon" is no day`},
		{"other header", "# as-of: 2027-01-10\na,b,c,d,e,f,g\n", `header "a,b,c,d,e,f,g"`},
		{"no rows", tableStart, "no rows"},
		{"missing field", tableStart + good + "1.37,x\n", "line 4: wrong number of fields"},
		{"open quote", tableStart + "\"1.37,x\n", "line 3"},
		{"minor with patch", tableStart + "1.37.2,2026-08-26 measured m,,2027-10-28 planned p,,,\n", `line 3: minor "1.37.2"`},
		{"date without origin", tableStart + good + "1.37,2026-08-26,,2027-10-28 planned p,,,\n", `line 4: 1.37: released: "2026-08-26": want a day`},
		{"date without citation", tableStart + "1.37,2026-08-26 measured ,,2027-10-28 planned p,,,\n", "line 3: 1.37: released"},
		{"no such day", tableStart + "1.37,2026-02-30 measured m,,2027-10-28 planned p,,,\n", `line 3: 1.37: released: "2026-02-30" is no day`},
		{"unknown origin", tableStart + "1.37,2026-08-26 guessed m,,2027-10-28 planned p,,,\n", `origin "guessed"`},
		{"measured ahead", tableStart + "1.37,2027-08-26 measured m,,2028-10-28 planned p,,,\n", "2027-08-26 is after the as-of day 2027-01-10"},
		{"no release date", tableStart + "1.37,,,2027-10-28 planned p,,,\n", "line 3: 1.37: no release date"},
		{"no end", tableStart + "1.37,2026-08-26 measured m,,,,,\n", "line 3: 1.37: no planned end"},
		{"ends before it starts", tableStart + "1.37,2026-08-26 measured m,,2025-10-28 planned p,,,\n", "the planned end is not after the release"},
		{"maintenance after the end", tableStart + "1.37,2026-08-26 measured m,2028-01-01 planned p,2027-10-28 planned p,,,\n", "maintenance does not start before"},
		{"patch of another minor", tableStart + "1.37,2026-08-26 measured m,,2027-10-28 planned p,,1.36.1,2026-10-01 measured m\n", "last_patch 1.36.1 is no upstream patch"},
		{"patch without a day", tableStart + "1.37,2026-08-26 measured m,,2027-10-28 planned p,,1.37.1,\n", "go together"},
		{"twice", tableStart + good + good, "line 4: 1.36 stands after 1.36"},
		{"a hole", tableStart + "1.45,2029-04-25 estimated e,,2030-06-28 estimated e,,,\n", "line 3: 1.45 leaves a hole"},
		{"before the calendar", tableStart + "1.14,2019-03-25 measured m,,2019-12-11 official o,,,\n", "line 3: 1.14 leaves a hole"},
		{"out of order", tableStart + good + "1.37,2026-04-21 measured m,,2027-06-28 planned p,,,\n", "line 4: 1.37 is not released after 1.36"},
		{"after its successor", tableStart + "1.36,2026-08-26 measured m,,2027-10-28 planned p,,,\n", "line 3: 1.37 is not released after 1.36"},
		{"too large", tableStart + strings.Repeat("#", maxTable), "larger than"},
		{"escape codes", tableStart + "1.37,2026-08-26 \x1b[31m m,,2027-10-28 planned p,,,\n", `origin "\x1b[31m"`},
	} {
		t.Run(bad.name, func(t *testing.T) {
			c, untouched := load(t), load(t)
			err := c.Merge(strings.NewReader(bad.text))
			if err == nil || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("error %v, want one with %q", err, bad.want)
			}
			if !reflect.DeepEqual(c, untouched) {
				t.Error("the calendar changed")
			}
		})
	}
}

func TestMergePassesReadErrorsOn(t *testing.T) {
	err := load(t).Merge(iotest.ErrReader(iotest.ErrTimeout))
	if err == nil || !strings.HasPrefix(err.Error(), "reading a release calendar: ") {
		t.Errorf("error %v", err)
	}
}

func FuzzMerge(f *testing.F) {
	// Short seeds: the fuzzer would spend its minute on shrinking the whole table.
	f.Add(tableStart + "1.40,2027-09-01 planned p,,2028-11-28 estimated e,,,\n1.41,2027-12-15 estimated e,,2029-02-28 estimated e,,,\n")
	f.Add(tableStart + "1.36,2026-04-22 measured m,2027-04-28 planned p,2027-06-28 planned p,,,\n")
	f.Add("# as-of: 9999-12-31\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		c := load(t)
		if c.Merge(strings.NewReader(text)) != nil {
			return
		}
		for i, r := range c.Releases() {
			if r.Minor != Minor(16+i) || !r.PlannedEnd.Day.After(r.Released.Day) {
				t.Errorf("row %d is %+v", i, r)
			}
		}
		_ = c.Supported(c.AsOf())
		_, path, _ := c.LastSafeStart(c.Newest(), c.AsOf(), DefaultPace)
		_ = path.String()
	})
}

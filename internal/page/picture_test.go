// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// luminance is WCAG 2's relative luminance of #rgb or #rrggbb.
func luminance(hex string) float64 {
	hex = strings.TrimPrefix(hex, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	sum := 0.0
	for n, weight := range []float64{.2126, .7152, .0722} {
		v, err := strconv.ParseUint(hex[2*n:2*n+2], 16, 8)
		if err != nil {
			return math.NaN()
		}
		c := float64(v) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestTimeGoesRight(t *testing.T) {
	for _, c := range []canvas{wide, narrow} {
		a := c.axis(seen)
		last := math.Inf(-1)
		for d := -1000; d < 12*365; d += 3 {
			x := a.x(seen.AddDate(0, 0, d))
			if x < last || x < a.gutter || x > a.width {
				t.Fatalf("%s: day %d stands at %g, after %g", c.class, d, x, last)
			}
			last = x
		}
		for _, pair := range [][2]int{{0, 90}, {90, 180}, {275, 365}} { // the first year is linear
			perDay := (a.x(seen.AddDate(0, 0, pair[1])) - a.x(seen.AddDate(0, 0, pair[0]))) / float64(pair[1]-pair[0])
			if want := (a.yearX - a.nowX) / 365; math.Abs(perDay-want) > 1e-6 {
				t.Errorf("%s: a day is %g wide between %v, want %g", c.class, perDay, pair, want)
			}
		}
		if late := a.x(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)); late != a.endX {
			t.Errorf("%s: the year 9999 stands at %g", c.class, late)
		}
		if early := a.x(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)); early != a.pastX {
			t.Errorf("%s: the year 1 stands at %g, want %g", c.class, early, a.pastX)
		}
	}
}

func lanes(d *drawing) []string {
	var all []string
	for _, l := range d.lanes {
		all = append(all, fmt.Sprintf("%s %d", l.name, len(l.dots)))
	}
	return all
}

func TestLanes(t *testing.T) {
	tl := showcase()
	d := newDrawing(tl.Items, seen)
	if want := []string{"cp1 16", "cp2 16", "cp3 15", "releases 1"}; !slices.Equal(lanes(d), want) {
		t.Errorf("lanes are %q, want %q", lanes(d), want)
	}
	if d.lead != 90*dayLong {
		t.Errorf("the due zone is %s long, want 90 days", d.lead)
	}
	if all := newDrawing(onTheWay(t).Items, seen); !slices.Equal(lanes(all), []string{"cp1 15", "documents 26"}) {
		t.Errorf("lanes of an upgrade are %q", lanes(all))
	}
	crowd := newDrawing(many(5000).Items, seen)
	if n := len(crowd.lanes); n != lanesShown || crowd.lanes[n-1].name != "25 more" {
		t.Errorf("%d lanes, the last is %q", n, crowd.lanes[n-1].name)
	}
	dots := 0
	for _, l := range crowd.lanes {
		dots += len(l.dots)
	}
	if dots != 5000 {
		t.Errorf("%d of 5000 items have a mark", dots)
	}
}

func TestHollowIsWhatIsNotMeasured(t *testing.T) {
	for _, tl := range []timeline.Timeline{showcase(), onTheWay(t)} {
		want := map[string]bool{}
		for _, i := range tl.Items {
			if i.End.Now || i.End.Date.IsZero() {
				continue
			}
			want[string(i.End.Basis)] = true
		}
		hollow, solid := 0, 0
		for _, l := range newDrawing(tl.Items, seen).lanes {
			for _, o := range l.dots {
				if o.hollow {
					hollow++
				} else {
					solid++
				}
			}
		}
		if hollow == 0 || solid == 0 {
			t.Errorf("%d hollow, %d solid, of the bases %v", hollow, solid, want)
		}
	}
}

func TestBracketWhereFileAndWireDiffer(t *testing.T) {
	old, fresh := seen.AddDate(0, 0, 40), seen.AddDate(0, 11, 20)
	differ := timeline.Build(append(node("cp1", seen.AddDate(0, -1, 0)), stale("cp1", "etcd-server", old, fresh)), nil, policy.Default(), seen, envelope("cp1"))
	d := newDrawing(differ.Items, seen)
	if len(d.lanes[0].brackets) != 1 || !d.lanes[0].brackets[0].a.Equal(fresh) || !d.lanes[0].brackets[0].b.Equal(old) {
		t.Fatalf("brackets are %+v", d.lanes[0].brackets)
	}
	page := render(t, Options{}, differ)
	if n := strings.Count(page, `<path class="bracket"`); n != 2 { // wide and narrow
		t.Errorf("%d brackets are drawn", n)
	}
	if want := "cp1/etcd-server: the file ends on 2027-11-11, what is served on 2027-01-01"; strings.Count(page, want) != 3 {
		t.Errorf("the page does not say %q to those who see it and those who do not", want)
	}
	if same := render(t, Options{}, calm("x")); strings.Contains(same, `<path class="bracket"`) {
		t.Error("a bracket where nothing differs")
	}
}

func TestPictureInWords(t *testing.T) {
	words := newDrawing(showcase().Items, seen).words()
	want := []string{
		"cp1: 1 in the due zone, 12 within a year, 3 within ten years. Next: etcd's serving certificate was renewed on disk, but the old one is still served and expires on 2027-01-01 (in 40 days). cp1/etcd-server: the file ends on 2027-11-11, what is served on 2027-01-01.",
		"cp2: 1 now or before, 12 within a year, 3 within ten years. Next: the client certificate in admin.conf expires on 2027-08-18 (in 269 days).",
	}
	if !slices.Equal(words[:2], want) {
		t.Errorf("the picture in words is\n%q, want\n%q", words[:2], want)
	}
}

// TestMarksAndLabelsStayInside looks at every picture for what is cut off or
// written over something else.
func TestMarksAndLabelsStayInside(t *testing.T) {
	for _, tl := range []timeline.Timeline{showcase(), onTheWay(t), many(500), calm("x"), torture()} {
		for _, c := range []canvas{wide, narrow} {
			p := newDrawing(tl.Items, seen).picture(c)
			for _, l := range p.Lanes {
				for _, b := range l.Brackets {
					x, err := strconv.ParseFloat(b.X, 64)
					if length := float64(len(b.Label)) * c.letter; err != nil || x < 0 || x+length > c.width+1 {
						t.Errorf("%s, lane %s: the bracket's label stands from %s, %g wide", c.class, l.Full, b.X, length)
					}
				}
				free := 0.0
				for _, m := range l.Marks {
					if m.Label == "" {
						continue
					}
					x, err := strconv.ParseFloat(m.LabelX, 64)
					if err != nil {
						t.Fatal(err)
					}
					length := float64(len([]rune(m.Label))) * c.letter
					if m.Anchor == "end" {
						x -= length
					}
					if x < free || x < 0 || x+length > c.width+1 {
						t.Errorf("%s, lane %s: the label %q stands from %g to %g, the one before ends at %g", c.class, l.Full, m.Label, x, x+length, free)
					}
					free = x + length
				}
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package report

import "strings"

// cell is one cell of a grid, safe to print.
type cell struct {
	text  string
	short string // a narrower form; empty where there is none
	style string
}

// grid is columns that stand below their heads.
type grid struct {
	heads []string
	rows  [][]cell
}

// step is one way to make a grid narrower.
type step struct {
	head string
	how  narrowing
	to   int // columns, for elide
}

type narrowing int

const (
	shorten narrowing = iota // use the short forms
	drop                     // leave the column out
	elideTo                  // shorten in the middle to what fits, but not under to columns
)

// fit takes the steps in order until the grid is no wider than limit.
func (g *grid) fit(limit int, steps []step) {
	for _, s := range steps {
		over := g.total() - limit
		if over <= 0 {
			return
		}
		n := g.find(s.head)
		if n < 0 {
			continue
		}
		switch s.how {
		case shorten:
			for r := range g.rows {
				if c := &g.rows[r][n]; c.short != "" {
					c.text = c.short
				}
			}
		case drop:
			g.drop(n)
		case elideTo:
			g.elide(n, max(g.width(n)-over, s.to))
		}
	}
}

func (g *grid) find(head string) int {
	for n, h := range g.heads {
		if h == head {
			return n
		}
	}
	return -1
}

func (g *grid) drop(n int) {
	g.heads = append(g.heads[:n:n], g.heads[n+1:]...)
	for r, row := range g.rows {
		g.rows[r] = append(row[:n:n], row[n+1:]...)
	}
}

func (g *grid) elide(n, to int) {
	for r := range g.rows {
		g.rows[r][n].text = elide(g.rows[r][n].text, to)
	}
}

func (g *grid) width(n int) int {
	w := width(g.heads[n])
	for _, row := range g.rows {
		w = max(w, width(row[n].text))
	}
	return w
}

func (g *grid) widths() []int {
	all := make([]int, len(g.heads))
	for n := range g.heads {
		all[n] = g.width(n)
	}
	return all
}

func (g *grid) total() int {
	sum := 2 * (len(g.heads) - 1)
	for _, w := range g.widths() {
		sum += w
	}
	return sum
}

func (g *grid) write(p *page) {
	widths := g.widths()
	heads := make([]cell, len(g.heads))
	for n, h := range g.heads {
		heads[n].text = h
	}
	for _, row := range append([][]cell{heads}, g.rows...) {
		var line strings.Builder
		for n, c := range row {
			line.WriteString(p.styled(c.style, c.text))
			if n < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[n]-width(c.text)+2))
			}
		}
		p.line(line.String())
	}
}

// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"strings"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

type versionKind struct{ apiVersion, kind string }

type versionResource struct{ group, version, resource string }

// fate is what becomes of a kind in one version on the way.
type fate struct {
	api  rules.API
	code finding.Code // APIRemoved, APIOff or APIDeprecated; empty where only stored objects are lost
	// change is the minor with which it is gone, off, or, while it is only
	// deprecated, planned to go (deprecated where nothing is planned).
	change release.Minor
	end    finding.End
	rule   *finding.Rule
	// before says that the minor that runs does not serve it any more.
	before bool
	// optional says that the minor that runs serves it only where it was
	// enabled.
	optional bool
	// successor is in which version to use it instead; zero where there is none.
	successor rules.GroupVersionKind
	// alone says that nothing else served the kind before the change, so that
	// its objects are lost with it.
	alone bool
	// undecodable is the minor that cannot read objects which are stored in
	// this version, while it serves the kind in another one; zero for none.
	undecodable release.Minor
}

// findFates looks through the whole table once, so that an object of which
// nothing follows costs one look into a map.
func (j *Judge) findFates() {
	apis := j.rules.APIs()
	left := map[string]bool{}
	for i := range apis {
		api := apis[i]
		f := j.fate(api, apis)
		if f == nil {
			left[api.APIVersion()] = left[api.APIVersion()] || len(api.Served) > 0
			continue
		}
		j.fates[versionKind{api.APIVersion(), api.Kind}] = f
		if api.Resource != "" {
			j.asked[versionResource{api.Group, api.Version, api.Resource}] = f
		}
		if whole := j.whole[api.APIVersion()]; f.code != finding.APIRemoved {
			left[api.APIVersion()] = true
		} else if whole == nil || whole.change < f.change {
			j.whole[api.APIVersion()] = f
		}
	}
	for apiVersion := range left {
		if left[apiVersion] {
			delete(j.whole, apiVersion)
		}
	}
}

// fate is nil for what stays, and for what is no object: kinds that no server
// has ever served are sent by servers to webhooks, or were types without use.
func (j *Judge) fate(api rules.API, apis []rules.API) *fate {
	if len(api.Served) == 0 && (api.Removed.IsZero() || api.Removed.Minor > rules.Oldest) {
		return nil
	}
	f := &fate{api: api, undecodable: j.undecodable(api, apis)}
	switch off := j.off(api); {
	case j.gone(api):
		f.code, f.change, f.rule = finding.APIRemoved, api.Removed.Minor, cite(api.Removed.Source)
		f.end = at(j.bites(f.change), basis(api.Removed.Origin))
	case off != 0:
		f.code, f.change, f.rule = finding.APIOff, off, cite(api.Source)
		f.end = at(j.bites(off), finding.Measured)
	case api.Deprecated.In(j.way.To) && !api.Removed.IsZero():
		f.code, f.change, f.rule = finding.APIDeprecated, api.Removed.Minor, cite(api.Removed.Source)
		f.end = at(f.change, basis(api.Removed.Origin))
	case api.Deprecated.In(j.way.To):
		f.code, f.change, f.rule = finding.APIDeprecated, api.Deprecated.Minor, cite(api.Deprecated.Source)
		f.end = at(j.bites(f.change), basis(api.Deprecated.Origin))
	case f.undecodable == 0:
		return nil
	}
	from := j.from(f.change)
	f.before = f.code == finding.APIRemoved && j.way.From != 0 && f.change <= j.way.From
	f.optional = api.Served.Has(from) && !api.Default.Has(from)
	f.successor = successor(api, apis, max(f.change, j.way.To), j.rules.Newest())
	f.alone = !elsewhere(api, apis, from)
	return f
}

// gone says whether the last minor of the way does not serve it. A kind that is
// served again later is not: no plan knows of such a thing.
func (j *Judge) gone(api rules.API) bool {
	return api.Removed.In(j.way.To) && !api.Served.Has(j.way.To)
}

// off is the minor with which it is no longer served by default, though it can
// be enabled; zero for none on the way.
func (j *Judge) off(api rules.API) release.Minor {
	if len(api.Default) == 0 || !api.Served.Has(j.way.To) || api.Default.Has(j.way.To) {
		return 0
	}
	last := api.Default[len(api.Default)-1].Last
	if !j.way.Reaches(last + 1) {
		return 0
	}
	return last + 1
}

// undecodable is the minor of the way that has lost the type, where objects may
// be stored in it, since the minor that runs knows the kind in no other
// version, and where that matters, since it serves the kind in another one.
func (j *Judge) undecodable(api rules.API, apis []rules.API) release.Minor {
	if j.way.From == 0 || len(api.Registered) == 0 || !api.Registered.Has(j.way.From) || !api.Served.Has(j.way.From) {
		return 0
	}
	lost := api.Registered[len(api.Registered)-1].Last + 1
	if !j.way.Reaches(lost) || lost > j.rules.Newest() {
		return 0
	}
	served := false
	for _, other := range apis {
		if other.Group != api.Group || other.Kind != api.Kind || other.Version == api.Version {
			continue
		}
		if other.Registered.Has(j.way.From) {
			return 0
		}
		served = served || other.Served.Has(lost)
	}
	if !served {
		return 0
	}
	return lost
}

// same says that two rows are one kind: in one group, or where upstream names
// one as the other's replacement.
func same(a, b rules.API) bool {
	if a.Kind != b.Kind || a.GroupVersionKind == b.GroupVersionKind {
		return false
	}
	return a.Group == b.Group || a.Replacement.Group == b.Group && a.Replacement.Kind == b.Kind
}

// elsewhere says whether a minor serves the kind by default in another version.
func elsewhere(api rules.API, apis []rules.API, m release.Minor) bool {
	for _, other := range apis {
		if same(api, other) && other.Default.Has(m) {
			return true
		}
	}
	return false
}

// successor is the best version of the kind in a minor: served by default
// before served if enabled, stable before beta before alpha. What is later than
// the newest measured minor is as that one has it, but for what is planned to go.
func successor(api rules.API, apis []rules.API, m, newest release.Minor) rules.GroupVersionKind {
	measured := min(m, newest)
	var best rules.API
	rank := 0
	for _, other := range apis {
		if !same(api, other) || !other.Served.Has(measured) || other.Removed.In(m) {
			continue
		}
		r := 1 + stability(other.Version)
		if other.Default.Has(measured) {
			r += 10
		}
		if r > rank || r == rank && other.Version > best.Version {
			best, rank = other, r
		}
	}
	if rank == 0 && api.Replacement.Kind != "" && api.Replacement.Kind != api.Kind {
		return api.Replacement
	}
	return best.GroupVersionKind
}

func stability(version string) int {
	switch {
	case strings.Contains(version, "alpha"):
		return 0
	case strings.Contains(version, "beta"):
		return 1
	}
	return 2
}

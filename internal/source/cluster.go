// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/kube"
)

// ClusterName is what an Unseen of the cluster names as its source.
const ClusterName = "cluster"

// ClusterOptions are how a cluster is looked at. The zero value takes every
// default.
type ClusterOptions struct {
	Patience kube.Patience
	// Total bounds the whole look; what was not looked at by then is Unseen.
	Total time.Duration
	// AtOnce is how many kinds are listed at once.
	AtOnce int
}

// The defaults: a cluster of 100,000 objects takes less than a minute, and two
// lists at once are what one kubectl in a loop and one dashboard ask for.
const (
	clusterTotal  = 10 * time.Minute
	clusterAtOnce = 2
)

// Cluster looks at everything that an API server holds, once, and pushes it as
// it comes, in no particular order:
//
//   - the version of the server;
//   - as fact.Object, pruned, each object whose kind's content is judged
//     (document.Contents, and ClusterRoles that name /logs), each one that
//     somebody uses in another version than the one that it was asked for, or in
//     an alpha or beta version, and each one that the server has in such
//     a version only. Events are left out: there are many, and they are gone
//     within an hour;
//   - the documents of deployed Helm 3 releases, each as a fact.Object with the
//     release and its revision as a Use;
//   - as fact.Requested, the deprecated APIs that were asked for in another
//     version than the one that the server prefers. In that one Kubernetes' own
//     controllers ask for everything, and so does this look;
//   - as fact.ConfigDocument, what kubeadm keeps in ConfigMaps: the
//     configurations of kubelets and of kube-proxy and the ClusterConfiguration,
//     the last one also as a fact.Object with its content;
//   - as fact.KubeletConfig, what each kubelet runs with, where the right get
//     nodes/proxy is there.
//
// What could not be looked at is an Unseen each. Calls of emit and unseen do not
// overlap. The result says whether every kind whose content is judged was listed
// to its end, so that one of them that was not shown is not there.
//
// It only reads. docs/rights/cluster-reader.yaml has the rights that it uses,
// and says what is not seen without each.
func Cluster(ctx context.Context, client *kube.Client, o ClusterOptions, emit func(fact.Fact), unseen func(fact.Unseen)) (whole bool) {
	if o.Total == 0 {
		o.Total = clusterTotal
	}
	if o.AtOnce == 0 {
		o.AtOnce = clusterAtOnce
	}
	if o.Patience == (kube.Patience{}) {
		o.Patience = kube.DefaultPatience
	}
	c := &cluster{client: client, o: o, patience: o.Patience, emit: emit, unseen: unseen, whole: true}
	ctx, cancel := context.WithTimeout(ctx, o.Total)
	defer cancel()
	c.look(ctx)
	return c.whole
}

// cluster is a look under way.
type cluster struct {
	client *kube.Client
	o      ClusterOptions

	mutex    sync.Mutex // of what follows
	patience kube.Patience
	emit     func(fact.Fact)
	unseen   func(fact.Unseen)
	whole    bool

	version  fact.Version
	served   kube.Served
	defined  definitions
	resource map[string]bool // names that the server prefers in some version
}

func (c *cluster) look(ctx context.Context) {
	var err error
	if c.version, err = c.client.Version(ctx); err != nil {
		c.fail(ctx, "the API server at "+fact.Text(c.client.Server()), err, "")
		if unreachable(err) {
			c.partly()
			return // nobody else will answer there
		}
	} else {
		c.push(c.version)
	}
	if c.served, err = c.client.Discover(ctx); err != nil {
		c.partly()
		c.fail(ctx, "what the API server serves", err, "")
	}
	for _, group := range c.served.Absent {
		c.say(fact.Unseen{What: "objects of " + fact.Text(group), Why: fact.Unreachable,
			Detail: "the API server offers the group and cannot serve it", Hint: "kubectl get apiservices shows which server behind it does not answer"})
	}
	// Before anything is listed: a list counts as a request.
	c.lookRequested(ctx)
	c.lookObjects(ctx)
	c.lookHelm(ctx)
	c.lookConfiguration(ctx)
}

// partly notes that not everything was listed.
func (c *cluster) partly() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.whole = false
}

// missed notes that a list is not whole: of objects whose content is judged it
// was asked for all, and for their content.
func (c *cluster) missed(l kube.Listing) {
	if !l.Metadata && l.Labels == "" {
		c.partly()
	}
}

// push hands on a fact.
func (c *cluster) push(f fact.Fact) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.emit(f)
}

func (c *cluster) say(u fact.Unseen) {
	u.Source = ClusterName
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.unseen(u)
}

// recovered keeps a fault of this program from costing more than the look at one
// thing.
func (c *cluster) recovered(what fact.Text) {
	if v := recover(); v != nil {
		c.partly()
		c.say(fact.Unseen{What: what, Why: fact.Failed, Detail: panicked(v)})
	}
}

// fail says that something could not be looked at, and why.
func (c *cluster) fail(ctx context.Context, what fact.Text, err error, right fact.Text) {
	u := fact.Unseen{What: what, Why: whyNot(err), Detail: fact.Text(err.Error())}
	switch {
	case u.Why == fact.Denied && right != "":
		u.Hint = "it needs the right to " + right
	case errors.Is(ctx.Err(), context.Canceled):
		u.Why, u.Detail = fact.Canceled, notLooked
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		u.Why, u.Detail = fact.Timeout, fact.Text(fmt.Sprintf("not all could be looked at within %s", c.o.Total))
	}
	c.say(u)
}

// whyNot is the class of what an API server or the way to it answered.
func whyNot(err error) fact.Why {
	switch {
	case errors.Is(err, kube.ErrForbidden):
		return fact.Denied
	case errors.Is(err, kube.ErrTooLarge):
		return fact.TooLarge
	case errors.Is(err, kube.ErrGarbled):
		return fact.Malformed
	case kube.Busy(err):
		return fact.Timeout
	}
	if why := host.Why(err); why != fact.Failed {
		return why
	}
	if unreachable(err) {
		return fact.Unreachable
	}
	return fact.Failed
}

// unreachable says that nobody answered who is the API server.
func unreachable(err error) bool { return kube.Unreachable(err) }

// listed waits less for the next kind after one that the server was too slow or
// too busy for, so that a server that answers nothing costs no minutes for each
// kind, and as long as ever after one that it listed.
func (c *cluster) listed(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	switch {
	case err == nil:
		c.patience = c.o.Patience
	case whyNot(err) == fact.Timeout:
		c.patience.Page = max(c.patience.Page/2, min(c.o.Patience.Page, 2*time.Second))
		c.patience.Wait = max(c.patience.Wait/2, min(c.o.Patience.Wait, time.Second))
	}
}

// list lists one kind and says so where that fails.
func (c *cluster) list(ctx context.Context, l kube.Listing, what fact.Text, each func(item json.RawMessage) error) {
	if ctx.Err() != nil {
		c.missed(l)
		c.fail(ctx, what, ctx.Err(), "")
		return
	}
	c.mutex.Lock()
	l.Patience = c.patience
	c.mutex.Unlock()
	err := c.client.List(ctx, l, each)
	c.listed(err)
	if err == nil || kube.NotListed(err) {
		return
	}
	c.missed(l)
	c.fail(ctx, what, err, "list "+fact.Text(l.Resource.String()))
}

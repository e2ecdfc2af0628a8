// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"perennial.dev/perennial/internal/layout"
)

// PodLogs is where a kubelet keeps the logs of its pods, unless its
// configuration has another podLogsDir (DefaultPodLogsDir of
// pkg/kubelet/apis/config/v1beta1/defaults.go).
const PodLogs = "/var/log/pods"

// Runs are the runs of a container of a pod that its logs tell of, oldest first:
// the files N.log in LOGS/NAMESPACE_POD_UID/CONTAINER, where N counts the
// restarts (pkg/kubelet/kuberuntime/helpers.go, BuildPodLogsDirectory). The pod
// is named as the cluster names it: a static pod's name has the node's behind it.
// Of several pods of that name, the one whose log was written last counts.
//
// A run starts with the first line of its log, exact to the time that the
// container takes to say something; where the log was rotated, that is later
// than the start, and where its format is not CRI's, the start is not known. It
// ends when its log was last written; the last one may run still, and has no
// end. There are none where the pod has no log.
func (f *FS) Runs(ctx context.Context, logs, namespace, pod, container string) ([]layout.Run, error) {
	runs, err := bounded(ctx, func() ([]layout.Run, error) { return f.runs(ctx, logs, namespace+"_"+pod+"_", container) })
	if err != nil {
		return nil, failure("listing", logs, err)
	}
	return runs, nil
}

// podLimit bounds how many entries of a directory of logs are looked at. A
// kubelet runs a few hundred pods at the most.
const podLimit = 16384

func (f *FS) runs(ctx context.Context, logs, prefix, container string) ([]layout.Run, error) {
	if strings.ContainsAny(prefix+container, "/\x00") || container == "" || container == ".." {
		return nil, errors.New("no name of a pod and its container")
	}
	at, err := f.resolve(logs)
	if err != nil {
		return nil, err
	}
	w := walk{fs: f, limits: ListLimits{Entries: podLimit}}
	pods, more, err := w.entries(ctx, at.path)
	if err != nil {
		return nil, err
	}
	if more > 0 {
		return nil, fmt.Errorf("%d entries are more than a kubelet makes", more+len(pods))
	}
	var newest []layout.Run
	for _, p := range pods {
		if !strings.HasPrefix(p.Name(), prefix) {
			continue
		}
		runs, err := f.runsIn(ctx, path.Join(at.path, p.Name(), container))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if len(runs) > 0 && (len(newest) == 0 || runs[len(runs)-1].End.After(newest[len(newest)-1].End)) {
			newest = runs
		}
	}
	if len(newest) > 0 {
		newest[len(newest)-1].End = time.Time{}
	}
	return newest, nil
}

func (f *FS) runsIn(ctx context.Context, dir string) ([]layout.Run, error) {
	at, err := f.resolve(dir)
	if err != nil {
		return nil, err
	}
	w := walk{fs: f, limits: ListLimits{Entries: podLimit}}
	files, _, err := w.entries(ctx, at.path)
	if err != nil {
		return nil, err
	}
	var runs []layout.Run
	for _, file := range files {
		number, ok := strings.CutSuffix(file.Name(), ".log")
		n, err := strconv.ParseUint(number, 10, 31)
		if !ok || err != nil {
			continue // rotated, or somebody else's
		}
		run, err := f.runOf(path.Join(at.path, file.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // collected meanwhile
		}
		if err != nil {
			return nil, err
		}
		run.Number = int(n)
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b layout.Run) int { return a.Number - b.Number })
	return runs, nil
}

// runOf reads when a log was written last and when its first line was.
func (f *FS) runOf(name string) (layout.Run, error) {
	at, err := f.resolve(name) // Docker's are links
	if err != nil {
		return layout.Run{}, err
	}
	if !at.info.Mode().IsRegular() {
		return layout.Run{}, kindError{at.info.Mode()}
	}
	file, err := f.tree.open(at.path)
	if err != nil {
		return layout.Run{}, err
	}
	defer file.Close()
	head := make([]byte, len(time.RFC3339Nano)+8)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return layout.Run{}, err
	}
	stamp, _, _ := strings.Cut(string(head[:n]), " ")
	start, _ := time.Parse(time.RFC3339Nano, stamp) // else not known
	if !start.IsZero() {
		start = start.UTC()
	}
	return layout.Run{Start: start, End: at.info.ModTime().UTC()}, nil
}

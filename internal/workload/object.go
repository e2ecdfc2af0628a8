// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/json"

	"perennial.dev/perennial/internal/fact"
)

// meta is what is read of an object's metadata.
type meta struct {
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
	OwnerReferences []struct {
		Kind       string `json:"kind"`
		Name       string `json:"name"`
		Controller *bool  `json:"controller"`
	} `json:"ownerReferences"`
}

// controller is the kind of what made the object and keeps it as it is; empty
// where nothing does.
func (m meta) controller() string {
	for _, owner := range m.OwnerReferences {
		if owner.Controller != nil && *owner.Controller {
			return owner.Kind
		}
	}
	return ""
}

// template is a pod, or what pods are made from.
type template struct {
	Metadata meta           `json:"metadata"`
	Spec     corev1.PodSpec `json:"spec"`
}

// kinds says how an object of a kind is read, by group and kind.
var kinds = map[string]func(*Judge, fact.Object) error{
	"/Pod":                                  (*Judge).seePod,
	"/ReplicationController":                (*Judge).seeController,
	"/PodTemplate":                          (*Judge).seePodTemplate,
	"apps/Deployment":                       (*Judge).seeController,
	"apps/DaemonSet":                        (*Judge).seeController,
	"apps/ReplicaSet":                       (*Judge).seeController,
	"apps/StatefulSet":                      (*Judge).seeController,
	"extensions/Deployment":                 (*Judge).seeController,
	"extensions/DaemonSet":                  (*Judge).seeController,
	"extensions/ReplicaSet":                 (*Judge).seeController,
	"batch/Job":                             (*Judge).seeController,
	"batch/CronJob":                         (*Judge).seeCronJob,
	"/Namespace":                            (*Judge).seeNamespace,
	"/Node":                                 (*Judge).seeNode,
	"/PersistentVolume":                     (*Judge).seePersistentVolume,
	"/PersistentVolumeClaim":                (*Judge).seePersistentVolumeClaim,
	"storage.k8s.io/CSIDriver":              (*Judge).seeCSIDriver,
	"storage.k8s.io/CSINode":                (*Judge).seeCSINode,
	"policy/PodSecurityPolicy":              (*Judge).seePodSecurityPolicy,
	"rbac.authorization.k8s.io/ClusterRole": (*Judge).seeClusterRole,
	"storage.k8s.io/StorageClass":           (*Judge).seeStorageClass,
	"extensions/PodSecurityPolicy":          (*Judge).seePodSecurityPolicy,
}

func (j *Judge) seeObject(o fact.Object) {
	group, _, ok := strings.Cut(string(o.APIVersion), "/")
	if !ok {
		group = ""
	}
	see, ok := kinds[group+"/"+string(o.Type)]
	if !ok {
		return
	}
	if err := see(j, o); err != nil {
		j.malformed(o, err)
	}
}

// read reads an object's content as the API server does: names of fields are
// case sensitive. What nobody has read the content of is empty.
func read(o fact.Object, into any) error {
	if len(o.Content) == 0 {
		return nil
	}
	if err := json.Unmarshal(o.Content, into); err != nil {
		return fmt.Errorf("reading the content: %w", err)
	}
	return nil
}

func (j *Judge) seePod(o fact.Object) error {
	var pod template
	if err := read(o, &pod); err != nil {
		return err
	}
	j.admittedBy(o, pod)
	j.pods(o, pod)
	return nil
}

func (j *Judge) seePodTemplate(o fact.Object) error {
	var content struct {
		Metadata meta     `json:"metadata"`
		Template template `json:"template"`
	}
	if err := read(o, &content); err != nil {
		return err
	}
	j.templates(o, content.Metadata, content.Template)
	return nil
}

func (j *Judge) seeController(o fact.Object) error {
	var content struct {
		Metadata meta `json:"metadata"`
		Spec     struct {
			Template template `json:"template"`
		} `json:"spec"`
	}
	if err := read(o, &content); err != nil {
		return err
	}
	j.templates(o, content.Metadata, content.Spec.Template)
	return nil
}

func (j *Judge) seeCronJob(o fact.Object) error {
	var content struct {
		Metadata meta `json:"metadata"`
		Spec     struct {
			Schedule    string  `json:"schedule"`
			TimeZone    *string `json:"timeZone"`
			JobTemplate struct {
				Spec struct {
					Template template `json:"template"`
				} `json:"spec"`
			} `json:"jobTemplate"`
		} `json:"spec"`
	}
	if err := read(o, &content); err != nil {
		return err
	}
	j.schedule(o, content.Spec.Schedule, content.Spec.TimeZone)
	j.templates(o, content.Metadata, content.Spec.JobTemplate.Spec.Template)
	return nil
}

// madeFrom are the kinds whose own templates are judged, so that what they make
// from them is judged there.
var madeFrom = map[string]bool{
	"Deployment": true, "ReplicaSet": true, "DaemonSet": true, "StatefulSet": true,
	"ReplicationController": true, "Job": true, "CronJob": true,
}

// templates judges what pods are made from, once: not again in a ReplicaSet of a
// Deployment.
func (j *Judge) templates(o fact.Object, m meta, t template) {
	if len(o.Content) == 0 || madeFrom[m.controller()] {
		return
	}
	j.runs(o, t)
	j.secure(o, t)
}

// pods judges a pod. Pod Security is judged also for one that was made from a
// template, because something may have been put into it on the way, such as a
// sidecar; but not where a PodSecurityPolicy may have, as that is to go.
func (j *Judge) pods(o fact.Object, pod template) {
	if len(o.Content) == 0 {
		return
	}
	made := madeFrom[pod.Metadata.controller()]
	if !made {
		j.runs(o, pod)
	}
	if !made || pod.Metadata.Annotations[pspAnnotation] == "" {
		j.secure(o, pod)
	}
}

// runs judges all of a pod or template but its security.
func (j *Judge) runs(o fact.Object, t template) {
	j.inline(o, t.Spec)
	j.users.pod(o, t.Spec)
	j.proxy(o, t.Spec)
	j.asksForLogs(o, t.Spec)
	j.seccompAnnotations(o, t)
}

// eachContainer visits all containers of a pod.
func eachContainer(spec *corev1.PodSpec, visit func(*corev1.Container)) {
	for i := range spec.InitContainers {
		visit(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		visit(&spec.Containers[i])
	}
	for i := range spec.EphemeralContainers {
		visit((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}

// named is how an object is told in a sentence about its namespace.
func named(o fact.Object) string { return string(o.Type) + "/" + o.Name.String() }

func counted(n int, noun string) string {
	text := strconv.Itoa(n) + " " + noun
	if n != 1 && noun != "more" {
		text += "s"
	}
	return text
}

// SPDX-License-Identifier: Apache-2.0

package e2e

// hop is an upgrade by one minor with one of each thing that it breaks.
type hop struct {
	from, to string
	// flags are set for components; those of mended are what is left of them
	// when the fixes were applied. Both are accepted by from, and only mended by to.
	// DIR in them and in files stands for the Kubernetes directory.
	flags, mended map[string][]string
	// files are configuration files below that directory, by name.
	files, mendedFiles map[string]string
	objects            string            // applied before the check
	requests           map[string]string // bodies that are posted before it, by path
	want               []string          // "ID CODE" of everything that blocks, breaks or changes
	delete             []string          // resources to take away, as the fixes say
}

// Each hop has one of each kind of breakage that the tables of internal/rules
// know on it for a control plane; the comments name the kinds that it has not.
// A lab has no kubelet and no kube-proxy, whose flags are tested elsewhere.
var hops = []hop{
	{
		// 1.33 refuses no entry of --runtime-config that 1.32 takes, and removes
		// no type that anything is stored in, no admission plugin, no
		// configuration file's version and no flag of etcd; gates need no others
		// yet. What it stops to serve is only asked.
		from: "1.32.2", to: "1.33.13",
		flags: map[string][]string{
			"kube-apiserver": {
				"--feature-gates=AppArmor=true,CRDValidationRatcheting=false",
				"--runtime-config=authentication.k8s.io/v1beta1=true",
				"--cloud-provider=external",
			},
			"kube-controller-manager": {"--feature-gates=PDBUnhealthyPodEvictionPolicy=true,JobBackoffLimitPerIndex=false"},
			"kube-scheduler":          {"--feature-gates=VolumeCapacityPriority=true"},
		},
		mended: map[string][]string{
			"kube-apiserver": {"--runtime-config=authentication.k8s.io/v1beta1=true"},
		},
		objects: `apiVersion: v1
kind: PersistentVolume
metadata: {name: portworx}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], portworxVolume: {volumeID: one}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cloned, namespace: default}
spec:
  selector: {matchLabels: {app: cloned}}
  template:
    metadata: {labels: {app: cloned}}
    spec:
      containers: [{name: main, image: registry.example/main:1}]
      volumes: [{name: source, gitRepo: {repository: "https://git.example/source.git"}}]
`,
		requests: map[string]string{
			"/apis/authentication.k8s.io/v1beta1/selfsubjectreviews": `{"apiVersion": "authentication.k8s.io/v1beta1", "kind": "SelfSubjectReview"}`,
		},
		want: []string{
			"cluster/DaemonSet/default/cloned VolumePluginRemoved",
			"cluster/PersistentVolume/-/portworx VolumeDriverMissing",
			"cluster/api/-/selfsubjectreviews.v1beta1.authentication.k8s.io APIRemoved",
			"cp1/gate-defaults-1.33 GateDefault",
			"cp1/kube-apiserver-flag-cloud-provider FlagRemoved",
			"cp1/kube-apiserver-gate-AppArmor GateRemoved",
			"cp1/kube-apiserver-gate-CRDValidationRatcheting GateLocked",
			"cp1/kube-controller-manager-gate-JobBackoffLimitPerIndex GateLocked",
			"cp1/kube-controller-manager-gate-PDBUnhealthyPodEvictionPolicy GateRemoved",
			"cp1/kube-scheduler-gate-VolumeCapacityPriority GateRemoved",
		},
	},
	{
		// 1.34 removes no flag but etcd's, no admission plugin, no volume plugin
		// and no configuration file's version; gates need no others yet. The types
		// that it removes, 1.33 stores in newer versions.
		from: "1.33.13", to: "1.34.4",
		flags: map[string][]string{
			"kube-apiserver": {
				"--feature-gates=ElasticIndexedJob=true,ConsistentListFromCache=false",
				"--runtime-config=admissionregistration.k8s.io/v1beta1=true,networking.k8s.io/v1alpha1=true,resource.k8s.io/v1alpha3=true",
			},
			"kube-controller-manager": {"--feature-gates=LegacySidecarContainers=true,JobPodReplacementPolicy=false"},
			"kube-scheduler":          {"--feature-gates=PodDisruptionConditions=true,SchedulerQueueingHints=false"},
			"etcd":                    {"--enable-v2=false"},
		},
		mended: map[string][]string{
			"kube-apiserver": {
				"--runtime-config=admissionregistration.k8s.io/v1beta1=true,resource.k8s.io/v1alpha3=true",
			},
		},
		objects: `apiVersion: admissionregistration.k8s.io/v1beta1
kind: ValidatingAdmissionPolicy
metadata: {name: policy}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "true"}]
---
apiVersion: resource.k8s.io/v1alpha3
kind: DeviceClass
metadata: {name: class}
spec: {}
`,
		want: []string{
			"cluster/DeviceClass/-/class APIRemoved",
			"cluster/ValidatingAdmissionPolicy/-/policy APIRemoved",
			// Requests for the class are not counted: it is deprecated only from 1.34 on.
			"cluster/api/-/validatingadmissionpolicies.v1beta1.admissionregistration.k8s.io APIRemoved",
			"cp1/etcd-flag-enable-v2 EtcdFlagRemoved",
			"cp1/etcd-step-3.5-3.6 EtcdStepTooSoon", // what kubeadm 1.33.13 brings is too old
			"cp1/gate-defaults-1.34 GateDefault",
			"cp1/kube-apiserver-gate-ConsistentListFromCache GateLocked",
			"cp1/kube-apiserver-gate-ElasticIndexedJob GateRemoved",
			"cp1/kube-apiserver-runtime-config-networking.k8s.io.v1alpha1 RuntimeConfigRefused",
			"cp1/kube-controller-manager-gate-JobPodReplacementPolicy GateLocked",
			"cp1/kube-controller-manager-gate-LegacySidecarContainers GateRemoved",
			"cp1/kube-scheduler-gate-PodDisruptionConditions GateRemoved",
			"cp1/kube-scheduler-gate-SchedulerQueueingHints GateLocked",
		},
	},
	{
		// 1.35 removes no flag of these components, no admission plugin, no
		// configuration file's version and no volume plugin.
		from: "1.34.4", to: "1.35.4",
		flags: map[string][]string{
			"kube-apiserver": {
				"--feature-gates=PodIndexLabel=true,PodObservedGenerationTracking=false,StorageVersionMigrator=true",
				"--runtime-config=storage.k8s.io/v1alpha1=true,storagemigration.k8s.io/v1alpha1=true",
			},
			"kube-controller-manager": {"--feature-gates=StatefulSetAutoDeletePVC=true,JobManagedBy=false"},
			"kube-scheduler":          {"--feature-gates=SizeMemoryBackedVolumes=true,StorageVersionAPI=true,APIServerIdentity=false"},
		},
		mended: map[string][]string{
			"kube-apiserver": {"--feature-gates=StorageVersionMigrator=true", "--runtime-config=storage.k8s.io/v1alpha1=true"},
		},
		objects: `apiVersion: storage.k8s.io/v1alpha1
kind: VolumeAttributesClass
metadata: {name: gold}
driverName: example.com
parameters: {tier: gold}
---
apiVersion: storagemigration.k8s.io/v1alpha1
kind: StorageVersionMigration
metadata: {name: secrets}
spec: {resource: {version: v1, resource: secrets}}
`,
		want: []string{
			"cluster/StorageVersionMigration/-/secrets StoredVersionRemoved",
			"cluster/VolumeAttributesClass/-/gold APIRemoved",
			"cluster/api/-/volumeattributesclasses.v1alpha1.storage.k8s.io APIRemoved",
			"cp1/gate-defaults-1.35 GateDefault",
			"cp1/kube-apiserver-gate-PodIndexLabel GateRemoved",
			"cp1/kube-apiserver-gate-PodObservedGenerationTracking GateLocked",
			"cp1/kube-apiserver-runtime-config-storagemigration.k8s.io.v1alpha1 RuntimeConfigRefused",
			"cp1/kube-controller-manager-gate-JobManagedBy GateLocked",
			"cp1/kube-controller-manager-gate-StatefulSetAutoDeletePVC GateRemoved",
			"cp1/kube-scheduler-gate-SizeMemoryBackedVolumes GateRemoved",
			"cp1/kube-scheduler-gate-StorageVersionAPI GateRequires",
		},
		delete: []string{"storageversionmigrations.storagemigration.k8s.io/secrets"},
	},
	{
		// 1.36 removes no flag of these components, no admission plugin and no
		// volume plugin. The only kind that it stops to serve, it cannot decode.
		from: "1.35.4", to: "1.36.3",
		flags: map[string][]string{
			"kube-apiserver": {
				"--feature-gates=HonorPVReclaimPolicy=true,MutableCSINodeAllocatableCount=false,GenericWorkload=true",
				"--runtime-config=scheduling.k8s.io/v1alpha1=true",
				"--admission-control-config-file=DIR/admission.yaml",
			},
			"kube-controller-manager": {"--feature-gates=MemoryManager=true,SELinuxChangePolicy=false"},
			"kube-scheduler":          {"--feature-gates=InTreePluginPortworxUnregister=true,DRAResourceClaimDeviceStatus=false"},
		},
		mended: map[string][]string{
			"kube-apiserver": {"--feature-gates=GenericWorkload=true", "--admission-control-config-file=DIR/admission.yaml"},
		},
		files:       map[string]string{"admission.yaml": webhookAdmission("v1alpha1", "WebhookAdmission")},
		mendedFiles: map[string]string{"admission.yaml": webhookAdmission("v1", "WebhookAdmissionConfiguration")},
		objects: `apiVersion: scheduling.k8s.io/v1alpha1
kind: Workload
metadata: {name: work, namespace: default}
spec: {podGroups: [{name: group, policy: {basic: {}}}]}
`,
		want: []string{
			"cluster/Workload/default/work StoredVersionRemoved",
			"cp1/gate-defaults-1.36 GateDefault",
			"cp1/kube-apiserver-config-WebhookAdmission ConfigKindRemoved",
			"cp1/kube-apiserver-gate-HonorPVReclaimPolicy GateRemoved",
			"cp1/kube-apiserver-gate-MutableCSINodeAllocatableCount GateLocked",
			"cp1/kube-apiserver-runtime-config-scheduling.k8s.io.v1alpha1 RuntimeConfigRefused",
			"cp1/kube-controller-manager-gate-MemoryManager GateRemoved",
			"cp1/kube-controller-manager-gate-SELinuxChangePolicy GateLocked",
			// Both are on by default in 1.36, and were not in 1.35.
			"cp1/kube-scheduler-gate-DRADeviceBindingConditions GateRequires",
			"cp1/kube-scheduler-gate-DRAResourceClaimGranularStatusAuthorization GateRequires",
			"cp1/kube-scheduler-gate-InTreePluginPortworxUnregister GateRemoved",
		},
		delete: []string{"workloads.scheduling.k8s.io/work"},
	},
	{
		// 1.37 removes no configuration file's version and no volume plugin.
		from: "1.36.3", to: "1.37.0",
		flags: map[string][]string{
			"kube-apiserver": {
				"--feature-gates=SidecarContainers=true,HPAConfigurableTolerance=false,GenericWorkload=true",
				"--runtime-config=networking.k8s.io/v1beta1=true,scheduling.k8s.io/v1alpha2=true,storage.k8s.io/v1beta1=true",
				"--enable-admission-plugins=NodeRestriction,JobValidation",
			},
			// Its controller takes the finalizer away of a PodGroup that is deleted.
			"kube-controller-manager": {"--concurrent-service-syncs=2", "--feature-gates=JobSuccessPolicy=true,GenericWorkload=true"},
			"kube-scheduler":          {"--feature-gates=SchedulerQueueingHints=true,PodLevelResources=false,InPlacePodLevelResourcesVerticalScaling=false"},
			"etcd":                    {"--experimental-compaction-batch-limit=1000"},
		},
		mended: map[string][]string{
			"kube-apiserver": {"--runtime-config=networking.k8s.io/v1beta1=true,storage.k8s.io/v1beta1=true", "--enable-admission-plugins=NodeRestriction"},
			"etcd":           {"--compaction-batch-limit=1000"},
		},
		objects: `apiVersion: networking.k8s.io/v1beta1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.200.0.0/16]}
---
apiVersion: storage.k8s.io/v1beta1
kind: VolumeAttributesClass
metadata: {name: gold}
driverName: example.com
parameters: {tier: gold}
---
apiVersion: scheduling.k8s.io/v1alpha2
kind: PodGroup
metadata: {name: group, namespace: default}
spec: {schedulingPolicy: {basic: {}}}
`,
		want: []string{
			"cluster/PodGroup/default/group StoredVersionRemoved",
			"cluster/ServiceCIDR/-/more APIRemoved",
			"cluster/VolumeAttributesClass/-/gold APIRemoved",
			"cluster/api/-/servicecidrs.v1beta1.networking.k8s.io APIRemoved", // kubectl asked for them
			"cluster/api/-/volumeattributesclasses.v1beta1.storage.k8s.io APIRemoved",
			"cp1/etcd-flag-experimental-compaction-batch-limit EtcdFlagRemoved",
			"cp1/gate-defaults-1.37 GateDefault",
			"cp1/kube-apiserver-admission-JobValidation AdmissionPluginRemoved",
			"cp1/kube-apiserver-gate-HPAConfigurableTolerance GateLocked",
			"cp1/kube-apiserver-gate-SidecarContainers GateRemoved",
			"cp1/kube-apiserver-runtime-config-scheduling.k8s.io.v1alpha2 RuntimeConfigRefused",
			"cp1/kube-controller-manager-flag-concurrent-service-syncs FlagRemoved",
			"cp1/kube-controller-manager-gate-JobSuccessPolicy GateRemoved",
			"cp1/kube-scheduler-gate-PodLevelResourcesFixDefaulting GateRequires",
			"cp1/kube-scheduler-gate-PodLevelResourcesFixKubeletQOSClass GateRequires",
			"cp1/kube-scheduler-gate-SchedulerQueueingHints GateRemoved",
		},
		delete: []string{"podgroups.scheduling.k8s.io/group"},
	},
}

// webhookAdmission is the configuration of an admission plugin in one version.
func webhookAdmission(version, kind string) string {
	return `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ValidatingAdmissionWebhook
  configuration:
    apiVersion: apiserver.config.k8s.io/` + version + `
    kind: ` + kind + `
    kubeConfigFile: DIR/admin.conf
`
}

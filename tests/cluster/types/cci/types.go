// Package cci has PyTorchJob as the archived pytorch-operator has it (github.com/kubeflow/pytorch-operator,
// pkg/apis/pytorch/v1) and Cloud Container Instance after it. Its module cannot be required: it has no version that Go's
// proxy serves. The parts that the training operator took over unchanged are taken from there.
package cci

import (
	kubeflow "github.com/kubeflow/training-operator/pkg/apis/kubeflow.org/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PyTorchJob is a job in the old layout.
type PyTorchJob struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   PyTorchJobSpec     `json:"spec,omitempty"`
	Status kubeflow.JobStatus `json:"status,omitempty"`
}

// PyTorchJobSpec has what is below runPolicy in the new layout.
type PyTorchJobSpec struct {
	ActiveDeadlineSeconds   *int64                                         `json:"activeDeadlineSeconds,omitempty"`
	BackoffLimit            *int32                                         `json:"backoffLimit,omitempty"`
	CleanPodPolicy          *kubeflow.CleanPodPolicy                       `json:"cleanPodPolicy,omitempty"`
	TTLSecondsAfterFinished *int32                                         `json:"ttlSecondsAfterFinished,omitempty"`
	PyTorchReplicaSpecs     map[kubeflow.ReplicaType]*kubeflow.ReplicaSpec `json:"pytorchReplicaSpecs"`
}

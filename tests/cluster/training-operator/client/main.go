// Replaces a PyTorchJob by what it read, with one field changed: what each controller in Go does that uses the training
// operator's typed client. Prints the API server's Status where it rejects that, and exits with 1.
//
//	client KUBECONFIG NAMESPACE NAME FIELD
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	kubeflow "github.com/kubeflow/training-operator/pkg/apis/kubeflow.org/v1"
	"github.com/kubeflow/training-operator/pkg/client/clientset/versioned"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	err := replace(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	var rejected apierrors.APIStatus
	switch {
	case errors.As(err, &rejected):
		status, _ := json.Marshal(rejected.Status())
		fmt.Println(string(status))
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func replace(kubeconfig, namespace, name, field string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	clientset, err := versioned.NewForConfig(config)
	if err != nil {
		return err
	}
	jobs := clientset.KubeflowV1().PyTorchJobs(namespace)
	job, err := jobs.Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := change(job, field); err != nil {
		return err
	}
	_, err = jobs.Update(context.Background(), job, metav1.UpdateOptions{})
	return err
}

func change(job *kubeflow.PyTorchJob, field string) error {
	policy := &job.Spec.RunPolicy
	switch field {
	case "labels":
		metav1.SetMetaDataLabel(&job.ObjectMeta, "changed", "yes")
	case "annotations":
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, "changed", "yes")
	case "activeDeadlineSeconds":
		seconds := int64(600)
		policy.ActiveDeadlineSeconds = &seconds
	case "ttlSecondsAfterFinished":
		seconds := int32(60)
		policy.TTLSecondsAfterFinished = &seconds
	case "cleanPodPolicy":
		all := kubeflow.CleanPodPolicyAll
		policy.CleanPodPolicy = &all
	case "image":
		job.Spec.PyTorchReplicaSpecs["Master"].Template.Spec.Containers[0].Image = "other"
	default:
		return fmt.Errorf("unknown field %q", field)
	}
	return nil
}

// The training operator, for the CRD it ships with: PyTorchJob in the structural layout of today.
module pytorchjob-guard/training-operator

go 1.26.0

require github.com/kubeflow/training-operator v1.9.3 // indirect

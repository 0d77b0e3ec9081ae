package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"reflect"

	kubeflow "github.com/kubeflow/training-operator/pkg/apis/kubeflow.org/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	"pytorchjob-guard/types/cci"
)

// A layout is a type whose objects are compared.
type layout struct {
	of               reflect.Type
	apiVersion, kind string
	// The fields that the guard compares by their types; all of the object's where there is none.
	within [][]string
}

var layouts = map[string]layout{
	"training-operator": {of: reflect.TypeFor[kubeflow.PyTorchJob](), apiVersion: "kubeflow.org/v1", kind: "PyTorchJob"},
	"cci":               {of: reflect.TypeFor[cci.PyTorchJob](), apiVersion: "kubeflow.org/v1", kind: "PyTorchJob"},
	"scale": {
		of: reflect.TypeFor[autoscalingv1.Scale](), apiVersion: "autoscaling/v1", kind: "Scale",
		within: [][]string{{"spec"}},
	},
	// A kind that the table does not have: its metadata and its pod template are known all the same.
	"deployment": {
		of: reflect.TypeFor[appsv1.Deployment](), apiVersion: "apps/v1", kind: "Deployment",
		within: [][]string{{"metadata"}, {"spec", "template", "metadata"}, {"spec", "template", "spec"}},
	},
}

// A pair is a line of output: two objects, and whether they are the same to equality.Semantic.
type pair struct {
	Old   json.RawMessage `json:"old"`
	New   json.RawMessage `json:"new"`
	Equal bool            `json:"equal"`
	// The smallest fields that differ in Go.
	Paths []string `json:"paths,omitempty"`
}

type judge struct {
	layout layout
	output *bufio.Writer
}

// A side is an object, as JSON and as Go has it.
type side struct {
	text   []byte
	object reflect.Value
}

// read decodes an object. Those that the Go types cannot hold are none: the API server would not let them in, or no typed
// client could read them.
func (judge *judge) read(object any) *side {
	text := text(object)
	decoded, err := decode(judge.layout.of, text)
	if err != nil {
		return nil
	}
	leaveOutServerManaged(decoded)
	return &side{text: text, object: decoded}
}

// judged prints two objects with the verdict.
func (judge *judge) judged(old, new *side) error {
	if old == nil || new == nil {
		return nil
	}
	pair := pair{
		Old:   old.text,
		New:   new.text,
		Equal: equality.Semantic.DeepEqual(old.object.Interface(), new.object.Interface()),
		Paths: differing(old.object.Elem(), new.object.Elem(), ""),
	}
	if pair.Equal != (len(pair.Paths) == 0) {
		return fmt.Errorf("equal is %t, but the paths are %q: %s %s", pair.Equal, pair.Paths, old.text, new.text)
	}
	_, err := judge.output.Write(append(text(pair), '\n'))
	return err
}

// leaveOutServerManaged drops what the guard leaves out.
func leaveOutServerManaged(object reflect.Value) {
	metadata := object.Interface().(metav1.Object)
	metadata.SetManagedFields(nil)
	metadata.SetGeneration(0)
	metadata.SetResourceVersion("")
	metadata.SetSelfLink("")
}

// decode reads an object as the API server and client-go do, into a pointer to a new value of the type.
func decode(of reflect.Type, text []byte) (reflect.Value, error) {
	object := reflect.New(of)
	return object, kjson.UnmarshalCaseSensitivePreserveInts(text, object.Interface())
}

// text encodes what cannot fail to be encoded: what was decoded, or made here.
func text(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// same is true if two JSON values of a type are the same to equality.Semantic; nil stands for an absent one.
func same(of reflect.Type, old, new json.RawMessage) bool {
	object := func(text json.RawMessage) (reflect.Value, error) {
		if text == nil {
			return reflect.New(of), nil
		}
		return decode(of, text)
	}
	oldObject, oldError := object(old)
	newObject, newError := object(new)
	return oldError == nil && newError == nil &&
		equality.Semantic.DeepEqual(oldObject.Elem().Interface(), newObject.Elem().Interface())
}
